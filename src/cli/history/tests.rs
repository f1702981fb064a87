use super::*;
use clap::Parser;
use rstest::rstest;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn records() -> Vec<Record> {
    let ledger = include_str!("../../domain/history/ledger.jsonl");
    ledger.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The numbers of the records that these arguments let through.
fn shown(arguments: &[&str]) -> Vec<u64> {
    let records = records();
    let args = Line::parse_from(["history"].iter().chain(arguments)).args;
    let courses = Courses::of(&records);
    let wants = |record: &&Record| args.wants(record, &courses, "2026-11-22T10:00:00Z".parse().unwrap());
    records.iter().filter(wants).map(|record| record.seq).collect()
}

fn totals(arguments: &[&str]) -> String {
    let records = records();
    let numbers = shown(arguments);
    let courses = Courses::of(&records);
    let of = records.iter().filter(|record| numbers.contains(&record.seq));
    Totals::of(&courses, &of.filter_map(|record| courses.number(record)).collect()).text()
}

#[rstest]
#[case("24h", "2026-11-20T10:00:00Z")]
#[case("2d 1h", "2026-11-19T09:00:00Z")]
#[case("1h ago", "2026-11-21T09:00:00Z")]
#[case("2026-11-20", "2026-11-20T00:00:00Z")]
#[case("2026-11-20T18:00:00+01:00", "2026-11-20T17:00:00Z")]
fn a_moment_can_be_said_in_several_ways(#[case] text: &str, #[case] at: &str) {
    let now = "2026-11-21T10:00:00Z".parse().unwrap();
    assert_eq!(since(text).unwrap().at(now), at.parse().unwrap());
}

#[test]
fn other_words_are_refused_with_examples() {
    let error = since("yesterday").unwrap_err();
    assert_eq!(error, "write 24h, 7d, 2026-11-20 or 2026-11-20T18:00:00Z");
}

#[test]
fn without_a_filter_everything_is_shown() {
    assert_eq!(shown(&[]).len(), records().len());
}

#[test]
fn an_outcome_picks_whole_courses() {
    let parts: Vec<Vec<u64>> = Standing::ALL.iter().map(|standing| shown(&["--outcome", standing.word()])).collect();
    let all: usize = parts.iter().map(Vec::len).sum();
    let about_builds = records().iter().filter(|record| Courses::of(&records()).number(record).is_some()).count();
    assert_eq!(all, about_builds, "each course stands in one way");
    let courses = Courses::of(&records());
    let records = records();
    for number in shown(&["--outcome", "rolled_back"]) {
        let record = records.iter().find(|record| record.seq == number).unwrap();
        assert_eq!(courses.of_record(record).unwrap().standing, Standing::RolledBack);
    }
}

#[test]
fn an_unknown_outcome_is_refused() {
    let error = Line::try_parse_from(["history", "--outcome", "mended"]).unwrap_err().to_string();
    assert!(error.contains("rolled_back") && error.contains("mended"), "{error}");
}

#[test]
fn an_id_is_that_of_a_build_or_of_its_remediation() {
    let records = records();
    let courses = Courses::of(&records);
    let course = courses.all().iter().find(|course| course.applied.is_some()).unwrap();
    let by_remediation = shown(&[course.remediation().as_str()]);
    assert!(by_remediation.len() > 3);
    assert_eq!(shown(&[&course.build.to_string()]), by_remediation);
    assert_eq!(
        shown(&[&format!("arn:aws:codebuild:eu-central-1:111122223333:build/{}", course.build)]),
        by_remediation
    );
    assert_eq!(shown(&["web-nothing"]), Vec::<u64>::new());
}

#[test]
fn times_bound_on_both_sides() {
    let records = records();
    let (first, last) = (records[2].at, records[5].at);
    let between = shown(&["--since", &first.to_string(), "--until", &last.to_string()]);
    let expected: Vec<u64> =
        records.iter().filter(|record| record.at >= first && record.at < last).map(|record| record.seq).collect();
    assert!(!expected.is_empty() && expected.len() < records.len());
    assert_eq!(between, expected);
}

#[test]
fn totals_say_what_it_comes_to() {
    insta::assert_snapshot!(totals(&[]));
    insta::assert_snapshot!(totals(&["--outcome", "rolled_back"]));
}

#[test]
fn a_list_fits_a_terminal_of_40_columns() {
    let records = records();
    let courses = Courses::of(&records);
    let all: Vec<&Record> = records.iter().collect();
    let mut table = head();
    all.iter().for_each(|record| row(&mut table, &courses, record));
    let text = table.width(40).render();
    let text = anstream::adapter::strip_str(&text).to_string();
    let longest = text.lines().map(|line| line.chars().count()).max();
    assert!(longest <= Some(40), "{text}");
}
