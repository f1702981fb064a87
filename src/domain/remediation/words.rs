//! The bounded words of why a remediation was taken back or left to a person, as the ledger writes them.

use super::{EscalationReason, RollbackReason};

impl RollbackReason {
    /// One word for it.
    pub fn word(self) -> &'static str {
        match self {
            RollbackReason::StillThrottled => "still_throttled",
            RollbackReason::MadeWorse => "made_worse",
            RollbackReason::ProjectChanged => "project_changed",
            RollbackReason::TakenOut => "taken_out",
            RollbackReason::GrantTakenAway => "grant_taken_away",
            RollbackReason::ProjectGone => "project_gone",
            RollbackReason::RoleGone => "role_gone",
            RollbackReason::WriteRejected => "write_rejected",
            RollbackReason::WriteDenied => "write_denied",
            RollbackReason::Operator => "operator",
        }
    }
}

impl EscalationReason {
    /// One word for it.
    pub fn word(self) -> &'static str {
        match self {
            EscalationReason::Drift => "drift",
            EscalationReason::NotProven => "not_proven",
            EscalationReason::KeptThoughIneffective => "kept_though_ineffective",
            EscalationReason::RollbackRefused => "rollback_refused",
            EscalationReason::RoleGone => "role_gone",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_ledger() {
        use RollbackReason as Back;
        let back = [
            Back::StillThrottled,
            Back::MadeWorse,
            Back::ProjectChanged,
            Back::TakenOut,
            Back::GrantTakenAway,
            Back::ProjectGone,
            Back::RoleGone,
            Back::WriteRejected,
            Back::WriteDenied,
            Back::Operator,
        ];
        for reason in back {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.word());
        }
        use EscalationReason as Called;
        let called = [
            Called::Drift,
            Called::NotProven,
            Called::KeptThoughIneffective,
            Called::RollbackRefused,
            Called::RoleGone,
        ];
        for reason in called {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.word());
        }
    }
}
