//! What became of one throttled build, as a line through time.

use super::output::{self, Cell, Table, Tone};
use super::{history, shared};
use crate::domain::course::Course;
use crate::domain::history::{Fact, Record};
use crate::domain::remediation::Entry;
use jiff::Timestamp;

/// A pause longer than this is drawn.
const PAUSE_SECONDS: i64 = 60;

/// The facts of one build in their order, each with the time since the build's end: a dot where the course turns, a line
/// between.
pub fn table(course: Option<&Course>, records: &[&Record]) -> Table {
    let mut table = Table::new(["AFTER", "", "WHAT HAPPENED"]);
    let ended = course.and_then(|course| course.ended);
    let Some(begin) = ended.or_else(|| records.first().map(|record| record.at)) else { return table };
    if ended.is_some() {
        table.row(["0s".into(), Cell::new(Tone::Bad, "●"), "the build ended".into()]);
    }
    let mut before = begin;
    for record in records {
        let pause = record.at.duration_since(before);
        if pause.as_secs() > PAUSE_SECONDS {
            let text = format!("{} later", output::duration(pause));
            table.row(["".into(), Cell::new(Tone::Dim, "┊"), Cell::new(Tone::Dim, text)]);
        }
        before = record.at;
        table.row([after(begin, record.at).into(), mark(&record.fact), told(&record.fact)]);
    }
    table
}

/// What happened, without the remediation's name: it is one.
fn told(fact: &Fact) -> Cell {
    match fact {
        Fact::Remediation { entry, .. } => shared::entry(entry),
        other => history::told(other),
    }
}

fn after(begin: Timestamp, at: Timestamp) -> String {
    output::duration(at.duration_since(begin))
}

fn mark(fact: &Fact) -> Cell {
    let turn = |tone| Cell::new(tone, "●");
    match fact {
        Fact::Remediation { entry, .. } => match entry {
            Entry::Planned(_) | Entry::Applied => turn(Tone::Strong),
            Entry::Verified { .. } => turn(Tone::Good),
            Entry::RollbackDecided { .. } | Entry::SetBack { .. } | Entry::RolledBack | Entry::GrantLeft { .. } => {
                turn(Tone::Warn)
            }
            Entry::Escalated { .. } => turn(Tone::Bad),
            Entry::InPlace { .. }
            | Entry::Begun { .. }
            | Entry::Undone { .. }
            | Entry::GrantKept { .. }
            | Entry::GrantUnneeded
            | Entry::RetryIntended
            | Entry::Retried { .. }
            | Entry::RetryRefused { .. } => Cell::new(Tone::Dim, "│"),
        },
        Fact::Judged { .. } | Fact::Undecided { .. } => turn(Tone::Warn),
        Fact::Detected(_)
        | Fact::PasswordResetAdvised { .. }
        | Fact::CredentialRotated { .. }
        | Fact::CredentialQuotaLow { .. }
        | Fact::QuotaRestored { .. }
        | Fact::Cleared { .. } => Cell::new(Tone::Dim, "│"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::course::Courses;
    use insta::assert_snapshot;

    fn records() -> Vec<Record> {
        let ledger = include_str!("../domain/history/ledger.jsonl");
        ledger.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn picture(width: u16) -> String {
        let records = records();
        let courses = Courses::of(&records);
        let course = courses.all().iter().position(|course| course.standing.word() == "rolled_back").unwrap();
        let of: Vec<&Record> = records.iter().filter(|record| courses.number(record) == Some(course)).collect();
        let text = table(courses.all().get(course), &of).width(width).render();
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn a_remediation_is_a_line_through_time() {
        assert_snapshot!(picture(100));
    }

    #[test]
    fn it_fits_a_terminal_of_40_columns() {
        let picture = picture(40);
        let longest = picture.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(40), "{picture}");
        assert!(picture.contains("●") && picture.contains("taken back"), "{picture}");
    }
}
