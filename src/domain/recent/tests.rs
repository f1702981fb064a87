use super::*;
use crate::domain::course::Courses;

fn records() -> Vec<Record> {
    let ledger = include_str!("../history/ledger.jsonl");
    ledger.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// With the plans that the history would hand in.
fn recent(records: &[Record]) -> Recent {
    let mut recent = Recent::default();
    let mut plans: BTreeMap<RemediationId, Plan> = BTreeMap::new();
    for record in records {
        let plan = match &record.fact {
            Fact::Remediation { id, .. } => plans.get(id).cloned(),
            _ => None,
        };
        recent.take(record, plan.as_ref());
        if let Fact::Remediation { id, entry: Entry::Planned(plan) } = &record.fact {
            plans.insert(id.clone(), (**plan).clone());
        }
    }
    recent
}

/// The 2nd of March 2026, 10:01.
fn then() -> Timestamp {
    "2026-03-02T10:01:00Z".parse().unwrap()
}

fn later(hours: i64) -> Timestamp {
    then() + SignedDuration::from_hours(hours)
}

fn standings(sums: &Sums) -> BTreeMap<Standing, usize> {
    sums.outcomes.iter().map(|(standing, reasons)| (*standing, reasons.values().sum())).collect()
}

/// As `history` counts them.
fn counted(records: &[Record]) -> BTreeMap<Standing, usize> {
    let mut counted = BTreeMap::new();
    Courses::of(records).all().iter().for_each(|course| *counted.entry(course.standing).or_insert(0) += 1);
    counted
}

#[test]
fn it_says_what_history_says() {
    let records = records();
    let sums = recent(&records).sums();
    assert_eq!(standings(&sums), counted(&records));
    assert_eq!(sums.builds, Courses::of(&records).all().len());
    assert!(!sums.is_cut);
}

#[test]
fn outcomes_have_their_reasons() {
    let outcomes = recent(&records()).sums().outcomes;
    assert_eq!(outcomes[&Standing::RolledBack], BTreeMap::from([(Some("operator"), 1), (Some("project_changed"), 1)]));
    assert_eq!(outcomes[&Standing::Escalated], BTreeMap::from([(Some("not_proven"), 1)]));
}

#[test]
fn throttles_are_counted_by_the_hour_that_the_build_ended_in() {
    // Both ended at 09:58, and were detected after ten.
    let hours = recent(&records()).sums().hours;
    assert_eq!(hours, BTreeMap::from([(hour(then()) - 1, Refused { docker_hub: 2, others: 0 })]));
    assert_eq!(hour("1969-12-31T23:59:59Z".parse().unwrap()), -1);
}

#[test]
fn the_newest_records_are_kept_newest_first() {
    let records = records();
    let newest = recent(&records).sums().newest;
    assert_eq!(newest.len(), records.len());
    assert_eq!(newest[0].record, *records.last().unwrap());
    // The last two are about a credential, which is no project's.
    let projects: Vec<_> = newest.iter().take(3).map(|noted| noted.project.as_ref().map(ProjectName::as_str)).collect();
    assert_eq!(projects, [None, None, Some("kit")]);
    let many: Vec<Record> = (0..3).flat_map(|_| records.clone()).collect();
    let mut recent = Recent::default();
    many.iter().for_each(|record| recent.take(record, None));
    assert_eq!(recent.sums().newest.len(), NEWEST);
}

#[test]
fn what_is_old_is_forgotten_but_not_what_is_under_way() {
    let mut recent = recent(&records());
    let before = recent.sums();
    recent.forget(later(14 * 24 - 1));
    let same = recent.sums();
    assert_eq!((same.builds, &same.outcomes), (before.builds, &before.outcomes));
    recent.forget(later(14 * 24 + 1));
    let after = recent.sums();
    let open = standings(&after);
    assert_eq!(after.hours, BTreeMap::new());
    assert_eq!(open.keys().copied().collect::<Vec<_>>(), vec![Standing::Open], "lib was set back and is not over");
    let of_remediation: usize = recent.scopes.values().map(|scope| scope.of_remediation.len()).sum();
    assert_eq!(of_remediation, after.builds, "no name stays without its course");
}

#[test]
fn what_happens_to_something_forgotten_is_followed_by_its_plan() {
    let records = records();
    let mut recent = recent(&records[..14]);
    assert_eq!(standings(&recent.sums()).get(&Standing::Verified), Some(&1));
    recent.forget(later(24 * 100));
    assert_eq!(recent.sums().builds, 0);
    let Fact::Remediation { entry: Entry::Planned(plan), .. } = &records[7].fact else {
        panic!("the eighth is a plan")
    };
    for record in &records[15..19] {
        recent.take(record, Some(plan));
    }
    let sums = recent.sums();
    assert_eq!(sums.outcomes, BTreeMap::from([(Standing::RolledBack, BTreeMap::from([(Some("operator"), 1)]))]));
    assert_eq!(sums.newest[0].project, Some(ProjectName::new("web")));
}

#[test]
fn people_are_called_until_they_clear_the_project() {
    let mut records = records();
    let called = recent(&records).sums().escalated;
    assert_eq!(called.len(), 1);
    assert_eq!((called[0].project.as_str(), called[0].detail.as_str()), ("app", "in time"));
    let cleared = Fact::Cleared { project: ProjectName::new("app") };
    records.push(Record { seq: 43, at: then(), scope: "here".to_string(), fact: cleared });
    let sums = recent(&records).sums();
    assert_eq!(sums.escalated, Vec::new());
    assert_eq!(standings(&sums)[&Standing::Escalated], 1, "that it was so does not change");
}

#[test]
fn lengths_of_time_run_from_the_end_of_the_build() {
    let sums = recent(&records()).sums();
    let length = SignedDuration::from_secs;
    assert_eq!(sums.detected, Some(Spread { median: length(121), longest: length(122) }));
    assert_eq!(sums.applied, Some(Spread { median: length(131), longest: length(131) }));
    assert_eq!(Spread::of(Vec::new()), None);
}

#[test]
fn there_are_never_more_than_it_can_hold() {
    let records = records();
    let mut recent = Recent::default();
    for n in 0..(MOST as i64 + 2) {
        let mut record = records[0].clone();
        let Fact::Detected(detected) = &mut record.fact else { panic!("the first is a detection") };
        detected.build = BuildId::new(format!("web:{n:012}"));
        record.at = then() + SignedDuration::from_secs(n);
        recent.take(&record, None);
    }
    let sums = recent.sums();
    assert_eq!(sums.builds, KEPT + 1, "the oldest went once, and one came after");
    assert!(sums.is_cut);
    let here = &recent.scopes["here"];
    assert!(here.courses.contains_key(&BuildId::new(format!("web:{:012}", MOST + 1))));
    assert!(here.of_remediation.is_empty(), "no build led to a remediation");
    assert_eq!(sums.hours.values().map(|refused| refused.docker_hub).sum::<usize>(), MOST + 2, "all are counted");
}

/// A sentence of thousands of builds is kept only where somebody reads it.
#[test]
fn only_what_a_person_has_to_look_at_is_told_at_length() {
    let recent = recent(&records());
    let with_detail = |followed: &&Followed| followed.detail.is_some();
    let told: Vec<&Followed> = recent.courses().map(|(_, followed)| followed).filter(with_detail).collect();
    assert_eq!(told.len(), recent.sums().escalated.len());
    assert!(!told.is_empty());
}
