//! One model: a request at a time, tried again where that can help.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::Value;

use crate::conversation::{Answer, Block, Conversation, Said, Stop, Turn};
use crate::events::Events;
use crate::{Api, Fault, Key, ModelError, ModelName, anthropic, openai};

/// The longest wait that a server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// The longest answer that is read, in bytes of its events.
const LARGEST: usize = 32 << 20;

/// How much is asked for, and how long it is waited for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// The most tokens of an answer, thinking included.
    pub max_tokens: u32,
    /// How long a connection may take.
    pub connect: Duration,
    /// How long it may be silent.
    pub silence: Duration,
    /// How long one answer may take in all.
    pub deadline: Duration,
    /// How often a request is tried again.
    pub retries: usize,
    /// How long it is waited before the first time; then longer, and never the same.
    pub pause: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_tokens: 16_000,
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(180),
            deadline: Duration::from_secs(600),
            retries: 8,
            pause: Duration::from_secs(1),
        }
    }
}

/// What is heard of an answer while it comes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Piece<'a> {
    /// More of its text.
    Text(&'a str),
    /// It was cut off and begins anew, because of that.
    Again(&'a ModelError),
}

/// A model that can be asked.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    name: ModelName,
    url: String,
    key: Option<Key>,
    settings: Settings,
}

impl Client {
    /// A client of a model; `url` stands for its provider's own address, up to `/v1`.
    ///
    /// # Errors
    /// [`Fault::Account`] without a key that it needs.
    pub fn new(
        name: ModelName,
        key: Option<Key>,
        url: Option<&str>,
        settings: Settings,
    ) -> Result<Self, ModelError> {
        if key.is_none() && name.needs_key() {
            return Err(ModelError::new(
                Fault::Account,
                format!("there is no key for {name}: set {}", name.key_variable()),
            ));
        }
        let (provider, path) = match name.api {
            Api::Anthropic => ("https://api.anthropic.com", "messages"),
            Api::OpenAi => ("https://api.openai.com", "chat/completions"),
        };
        let given = name.url.as_deref().or(url).unwrap_or(provider).trim_end_matches('/');
        let version = if given.ends_with("/v1") || name.url.is_some() { "" } else { "/v1" };
        let url = format!("{given}{version}/{path}");
        // The first to say so is heard; any other says the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut http = reqwest::Client::builder()
            .connect_timeout(settings.connect)
            .read_timeout(settings.silence)
            .timeout(settings.deadline)
            // A key must not follow to another host.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("overnight/", env!("CARGO_PKG_VERSION")));
        if ["http://127.", "http://localhost", "http://[::1]"].iter().any(|own| url.starts_with(own)) {
            // Neither a proxy nor certificates, which a machine may not have.
            http = http.no_proxy().tls_certs_only([]);
        }
        let http = http.build().map_err(|error| ModelError::sent(&error))?;
        Ok(Self { http, name, url, key, settings })
    }

    /// What is asked.
    pub fn name(&self) -> &ModelName {
        &self.name
    }

    /// How much is asked for.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The model's next turn, which is added to the conversation; `on_piece` hears it while it comes.
    ///
    /// # Errors
    /// Where it cannot be had, also after trying again; the conversation is as it was then.
    pub async fn turn(
        &self,
        talk: &mut Conversation,
        on_piece: impl FnMut(Piece<'_>) + Send,
    ) -> Result<Turn, ModelError> {
        let on_piece = std::sync::Mutex::new(on_piece);
        let hear = |piece: Piece<'_>| {
            let mut on_piece = on_piece.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            on_piece(piece);
        };
        let once = || async {
            let mut on_text = |text: &str| hear(Piece::Text(text));
            self.once(talk, &mut on_text).await.map_err(|error| self.masked(error))
        };
        let pauses = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(self.settings.pause)
            .with_max_delay(self.settings.pause * 30)
            .with_max_times(self.settings.retries);
        let (turn, blocks) = once
            .retry(pauses)
            .when(|error| matches!(error.fault, Fault::Retry(_)))
            .adjust(|error, pause| match error.fault {
                // What the server asks for, where it asks for more.
                Fault::Retry(Some(wait)) if wait <= LONGEST_WAIT => Some(pause?.max(wait)),
                Fault::Retry(Some(_)) => None,
                _ => pause,
            })
            .notify(|error, pause| {
                tracing::info!(%error, ?pause, model = %self.name, "asked again");
                hear(Piece::Again(error));
            })
            .await?;
        talk.said.push(Said::Model(blocks));
        Ok(turn)
    }

    fn masked(&self, error: ModelError) -> ModelError {
        match &self.key {
            Some(key) => ModelError { message: key.mask(&error.message), ..error },
            None => error,
        }
    }

    async fn once(
        &self,
        talk: &Conversation,
        on_text: &mut (dyn FnMut(&str) + Send),
    ) -> Result<(Turn, Vec<Block>), ModelError> {
        let max_tokens = self.settings.max_tokens;
        let body = match self.name.api {
            Api::Anthropic => anthropic::request(&self.name.model, talk, max_tokens),
            Api::OpenAi => openai::request(&self.name.model, talk, max_tokens, self.name.url.is_none()),
        };
        let sent = self.http.post(&self.url).headers(self.headers()?).json(&body).send().await;
        let mut response = sent.map_err(|error| ModelError::sent(&error))?;
        if !response.status().is_success() {
            let wait = wait(response.headers());
            let status = response.status().as_u16();
            let body = response.text().await.unwrap_or_default();
            return Err(ModelError::answered(status, &body, wait));
        }
        let (mut events, mut answer, mut size) = (Events::default(), Answer::default(), 0);
        while let Some(bytes) = response.chunk().await.map_err(|error| ModelError::sent(&error))? {
            size += bytes.len();
            if size > LARGEST {
                return Err(ModelError::new(
                    Fault::Request,
                    format!("its answer has more than {LARGEST} bytes"),
                ));
            }
            events.push(&bytes);
            while let Some(data) = events.next() {
                if self.take(&mut answer, &data, on_text)? {
                    return whole(answer);
                }
            }
        }
        whole(answer)
    }

    /// Takes in one event; whether it was the last.
    fn take(
        &self,
        answer: &mut Answer,
        data: &str,
        on_text: &mut (dyn FnMut(&str) + Send),
    ) -> Result<bool, ModelError> {
        if data == "[DONE]" {
            // Some servers give no reason for the end.
            answer.stop.get_or_insert(Stop::Done);
            return Ok(true);
        }
        let event: Value = serde_json::from_str(data)
            .map_err(|error| ModelError::retry(format!("its answer cannot be read: {error}")))?;
        if event["type"] == "error" || event.get("error").is_some_and(|error| !error.is_null()) {
            return Err(ModelError::event(&event));
        }
        Ok(match self.name.api {
            Api::Anthropic => anthropic::read(answer, &event, on_text),
            Api::OpenAi => {
                openai::read(answer, &event, on_text);
                false
            }
        })
    }

    fn headers(&self) -> Result<HeaderMap, ModelError> {
        let mut headers = HeaderMap::new();
        headers.insert("accept", HeaderValue::from_static("text/event-stream"));
        if self.name.api == Api::Anthropic {
            headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
        }
        if let Some(key) = &self.key {
            let (name, value) = match self.name.api {
                Api::Anthropic => ("x-api-key", key.secret().to_owned()),
                Api::OpenAi => ("authorization", format!("Bearer {}", key.secret())),
            };
            let mut value = HeaderValue::from_str(&value).map_err(|_| {
                let variable = self.name.key_variable();
                ModelError::new(
                    Fault::Account,
                    format!("the key in {variable} has characters that no key has"),
                )
            })?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(headers)
    }
}

/// An answer without a reason for its end was cut.
fn whole(answer: Answer) -> Result<(Turn, Vec<Block>), ModelError> {
    answer.finish().ok_or_else(|| ModelError::retry("its answer broke off in the middle"))
}

/// What a server says of trying again: `retry-after-ms`, or `retry-after` in seconds.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let told = |name: &str, unit: f64| {
        let seconds = headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok()? * unit;
        Duration::try_from_secs_f64(seconds).ok()
    };
    told("retry-after-ms", 1e-3).or_else(|| told("retry-after", 1.0))
}
