//! Runs the language's code on a thread of its own: it may block, and its panic is a value.

use std::{
    any::Any,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use tokio::{runtime::Handle, sync::oneshot};

/// The result of `work`, or the message of its panic.
///
/// Not `spawn_blocking`: a runtime that ends waits for such a task, and a cell may never end.
pub(crate) async fn isolate<F>(name: &str, work: F) -> Result<F::Output, String>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (sender, receiver) = oneshot::channel();
    let runtime = Handle::current();
    let started = thread::Builder::new().name(name.to_owned()).spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(|| runtime.block_on(work)));
        let _ = sender.send(result.map_err(|panic| message(panic.as_ref())));
    });
    if let Err(error) = started {
        return Err(format!("no thread could be started: {error}"));
    }
    receiver.await.unwrap_or_else(|_| Err("the runtime ended".to_owned()))
}

/// What a panic said.
pub(crate) fn message(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_with_its_message() {
        assert_eq!(isolate("test", async { 2 }).await, Ok(2));
        let number = 7;
        let result: Result<(), _> = isolate("test", async move { panic!("broke at {number}") }).await;
        assert_eq!(result, Err("broke at 7".to_owned()));
    }
}
