//! The ladder of those who are stuck: after three experiments in a row that were not kept a proposer is told to
//! refine, after five to look elsewhere, and then each five in another way again.

use lab::{Experiment, Rung, Status};
use serde::Serialize;

/// After how many experiments the first rung is reached.
const REFINE: u64 = 3;
/// After how many the second one is, and after how many more each that follows.
const PIVOT: u64 = 5;

/// How long nothing has been kept, and what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Stuck {
    /// So many experiments in a row were not kept.
    pub after: u64,
    /// How to go about it.
    pub rung: Rung,
}

impl Stuck {
    /// Where experiments, oldest first, have come to; `None` while some are kept.
    pub fn of(experiments: &[Experiment]) -> Option<Self> {
        let after = experiments.iter().rev().take_while(|it| it.record.status != Status::Keep).count() as u64;
        Self::after(after)
    }

    /// Where so many experiments in a row lead to.
    fn after(after: u64) -> Option<Self> {
        const PIVOTS: [Rung; 4] = [Rung::Elsewhere, Rung::Combine, Rung::Simplify, Rung::Radical];
        let rung = match after {
            0..REFINE => return None,
            REFINE..PIVOT => Rung::Refine,
            _ => PIVOTS[((after / PIVOT - 1) % PIVOTS.len() as u64) as usize],
        };
        Some(Self { after, rung })
    }

    /// Whether it was the last experiment that led here.
    pub fn is_new(self) -> bool {
        Self::after(self.after - 1).map(|before| before.rung) != Some(self.rung)
    }

    /// What a proposer is told.
    pub fn advice(self) -> String {
        let what = match self.rung {
            Rung::Refine => {
                "Refine: take smaller and more careful steps around what was kept, and look at the nearest misses."
            }
            Rung::Elsewhere => {
                "Leave this area: change a part of the files that no experiment has touched, or the fewest."
            }
            Rung::Combine => {
                "Combine: put two or three near misses together that changed different things, where their gains may \
                 add up."
            }
            Rung::Simplify => {
                "Simplify: take something out that does not carry its weight, so that the budget goes into what does."
            }
            Rung::Radical => {
                "Be radical: something that no experiment resembles so far, such as another architecture, algorithm or \
                 schedule."
            }
        };
        format!("The last {} experiments improved nothing. {what}", self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rung_is_reached_once_in_a_round() {
        let steps: Vec<String> = (0..30)
            .filter_map(Stuck::after)
            .filter(|stuck| stuck.is_new())
            .map(|stuck| format!("{} {:?}", stuck.after, stuck.rung))
            .collect();
        assert_eq!(
            steps,
            ["3 Refine", "5 Elsewhere", "10 Combine", "15 Simplify", "20 Radical", "25 Elsewhere"]
        );
    }
}
