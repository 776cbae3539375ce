//! karpathy's block of results at the end of a run.

use std::fmt;
use std::time::Duration;

use crate::machine::Machine;
use crate::memory;

/// What a run came to; shown, it is the block that the loop reads.
#[derive(Clone, Debug)]
pub struct Summary {
    pub(crate) val_bpb: f64,
    pub(crate) training: Duration,
    pub(crate) total: Duration,
    pub(crate) machine: Machine,
    pub(crate) mfu_percent: Option<f64>,
    pub(crate) tokens: usize,
    pub(crate) steps: usize,
    pub(crate) parameters: usize,
    pub(crate) depth: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "---")?;
        writeln!(f, "val_bpb:          {:.6}", self.val_bpb)?;
        writeln!(f, "training_seconds: {:.1}", self.training.as_secs_f64())?;
        writeln!(f, "total_seconds:    {:.1}", self.total.as_secs_f64())?;
        if let Some(mb) = memory::peak_rss_mb() {
            writeln!(f, "peak_rss_mb:      {mb:.1}")?;
        }
        if let Some(mb) = memory::pools_mb(&self.machine.device).filter(|_| !self.machine.is_cpu()) {
            writeln!(f, "peak_vram_mb:     {mb:.1}")?;
        }
        if let Some(percent) = self.mfu_percent {
            writeln!(f, "mfu_percent:      {percent:.2}")?;
        }
        writeln!(f, "total_tokens_M:   {:.3}", self.tokens as f64 / 1e6)?;
        writeln!(f, "num_steps:        {}", self.steps)?;
        writeln!(f, "num_params_M:     {:.2}", self.parameters as f64 / 1e6)?;
        writeln!(f, "depth:            {}", self.depth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_name_and_a_number() {
        let summary = Summary {
            val_bpb: 1.6,
            training: Duration::from_millis(20_040),
            total: Duration::from_millis(25_900),
            machine: Machine::cpu(2),
            mfu_percent: Some(39.8),
            tokens: 253_952,
            steps: 124,
            parameters: 1_230_000,
            depth: 4,
        };
        let text = summary.to_string();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("---"));
        assert_eq!(lines.next(), Some("val_bpb:          1.600000"));
        assert_eq!(lines.next(), Some("training_seconds: 20.0"));
        assert!(text.contains("\nmfu_percent:      39.80\ntotal_tokens_M:   0.254\nnum_steps:        124\n"));
        assert!(lines.all(|line| line.split_once(':').is_some_and(|(_, n)| n.trim().parse::<f64>().is_ok())));
    }
}
