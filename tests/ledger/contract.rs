//! What holds of every ledger, whatever it is kept in. `super::fresh` answers a place without one.

use super::records::{self, SCOPE, at, story};
use super::{append_all, cleared, fresh, ledger_of};
use unthrottled::domain::history::{Fact, Record};
use unthrottled::domain::policy::Remedy;
use unthrottled::domain::remediation::Entry;
use unthrottled::domain::watch::Watch;
use unthrottled::edge::event::Place;
use unthrottled::edge::ledger::{Ledger, LedgerError};
use unthrottled::reconcile::{Book, BookError, Memory};

#[tokio::test]
async fn what_is_appended_is_loaded_by_the_next_process() {
    let (place, _kept) = fresh().await;
    drop(ledger_of(&place, &story()).await);
    let ledger = Ledger::open(&place).await.unwrap();
    assert_eq!(ledger.load().await.unwrap(), story());
    assert_eq!(ledger.since(30).await.unwrap(), story()[30..]);
    assert_eq!(ledger.page(30, 4).await.unwrap(), story()[30..34]);
    assert_eq!(ledger.page(story().len() as u64, 4).await.unwrap(), []);
    assert_eq!(ledger.head().await.unwrap(), story().len() as u64);
    assert_eq!(ledger.since(story().len() as u64).await.unwrap(), []);
}

#[tokio::test]
async fn a_ledger_that_is_shorter_than_it_was_is_another() {
    let (place, _kept) = fresh().await;
    let ledger = ledger_of(&place, &story()).await;
    let error = ledger.since(story().len() as u64 + 1).await.unwrap_err();
    assert!(error.to_string().contains("is damaged"), "{error}");
}

#[tokio::test]
async fn looking_for_a_ledger_begins_none() {
    let (place, _kept) = fresh().await;
    assert!(Ledger::open_existing(&place).await.unwrap().is_none());
    assert!(Ledger::open_existing(&place).await.unwrap().is_none());
    let begun = Ledger::open(&place).await.unwrap();
    let found = Ledger::open_existing(&place).await.unwrap().unwrap();
    assert_eq!((found.id(), found.head().await.unwrap()), (begun.id(), 0));
}

#[tokio::test]
async fn a_fact_decided_on_an_older_history_is_refused() {
    let (place, _kept) = fresh().await;
    let daemon = Ledger::open(&place).await.unwrap();
    let operator = Ledger::open(&place).await.unwrap();
    assert_eq!(daemon.id(), operator.id());
    let now = at("10:00:00");
    daemon.append(0, now, SCOPE, &cleared("web")).await.unwrap();
    let refused = operator.append(0, now, SCOPE, &cleared("api")).await;
    assert!(matches!(refused, Err(LedgerError::Conflict { expected: 0, head: 1 })), "{refused:?}");
    let from_the_future = daemon.append(7, now, SCOPE, &cleared("api")).await;
    assert!(from_the_future.unwrap_err().is_conflict());
    let loaded = daemon.load().await.unwrap();
    assert_eq!(loaded.len(), 1);
    assert_eq!(loaded[0].fact, cleared("web"));
}

#[tokio::test]
async fn what_others_append_is_seen_at_once() {
    let (place, _kept) = fresh().await;
    let daemon = ledger_of(&place, &story()[..5]).await;
    let operator = Ledger::open(&place).await.unwrap();
    append_all(&operator, &story()[5..9]).await;
    assert_eq!(daemon.head().await.unwrap(), 9);
    assert_eq!(daemon.since(5).await.unwrap(), story()[5..9]);
}

#[tokio::test]
async fn of_writers_that_race_each_record_has_one() {
    const WRITERS: usize = 6;
    const EACH: usize = 10;
    let (place, _kept) = fresh().await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let ledger = Ledger::open(&place).await.unwrap();
        writers.spawn(async move {
            let (mut head, mut won) = (0, Vec::new());
            while won.len() < EACH {
                let fact = cleared(&format!("{writer}-{}", won.len()));
                match ledger.append(head, at("10:00:00"), SCOPE, &fact).await {
                    Ok(record) => {
                        head = record.seq;
                        won.push(record);
                    }
                    Err(LedgerError::Conflict { head: there, .. }) => head = there,
                    Err(error) => panic!("{error}"),
                }
            }
            won
        });
    }
    let mut won: Vec<Record> = writers.join_all().await.into_iter().flatten().collect();
    won.sort_by_key(|record| record.seq);
    assert_eq!(won.len(), WRITERS * EACH);
    assert_eq!(Ledger::open(&place).await.unwrap().load().await.unwrap(), won);
}

#[tokio::test]
async fn the_watch_is_kept_for_each_scope_and_is_no_record() {
    let (place, _kept) = fresh().await;
    let ledger = Ledger::open(&place).await.unwrap();
    let mut swept = serde_json::to_value(Watch::default()).unwrap();
    swept["swept"] = "2026-01-05T10:00:00Z".into();
    let watch: Watch = serde_json::from_value(swept).unwrap();
    assert_ne!(watch, Watch::default());

    ledger.save_watch("a", &Watch::default()).await.unwrap();
    ledger.save_watch("a", &watch).await.unwrap();
    assert_eq!(ledger.watch("a").await.unwrap(), Some(watch));
    assert_eq!(ledger.watch("b").await.unwrap(), None);
    assert_eq!(ledger.head().await.unwrap(), 0);
}

#[tokio::test]
async fn the_account_is_kept_for_each_scope() {
    let (place, _kept) = fresh().await;
    let ledger = Ledger::open(&place).await.unwrap();
    ledger.set_account("a", "111122223333").await.unwrap();
    let next = Ledger::open(&place).await.unwrap();
    assert_eq!(next.account("a").await.unwrap().as_deref(), Some("111122223333"));
    assert_eq!(next.account("b").await.unwrap(), None);
}

#[tokio::test]
async fn a_ledger_of_another_account_is_refused() {
    let (place, _kept) = fresh().await;
    let scope_in = |account: &str| {
        vec![Place { scope: SCOPE.to_string(), account: Some(account.to_string()), region: "eu-central-1".to_string() }]
    };
    let unknown = vec![Place { scope: SCOPE.to_string(), account: None, region: "eu-central-1".to_string() }];
    let ledger = || async { Some(Ledger::open(&place).await.unwrap()) };
    // Known by the role's ARN, and noted once the account was seen.
    let mut book = Book::open(ledger().await, scope_in("111122223333"), Memory::Whole).await.unwrap();
    book.set_account(SCOPE, "111122223333").await.unwrap();

    Book::open(ledger().await, scope_in("111122223333"), Memory::Whole).await.unwrap();
    let at_start = Book::open(ledger().await, scope_in("444455556666"), Memory::Whole).await.unwrap_err();
    let mut later = Book::open(ledger().await, unknown, Memory::Whole).await.unwrap();
    let later = later.set_account(SCOPE, "444455556666").await.unwrap_err();
    for error in [at_start, later] {
        assert!(matches!(error, BookError::OtherAccount { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("is in account 444455556666, and its ledger tells of account 111122223333"), "{text}");
    }
    assert_eq!(ledger().await.unwrap().account(SCOPE).await.unwrap().as_deref(), Some("111122223333"));
}

#[tokio::test]
async fn what_was_emitted_only_grows() {
    let (place, _kept) = fresh().await;
    let ledger = Ledger::open(&place).await.unwrap();
    assert_eq!(ledger.emitted().await.unwrap(), 0);
    // 10 is less than 9 as text.
    for (set, is) in [(9, 9), (10, 10), (9, 10)] {
        ledger.set_emitted(set).await.unwrap();
        assert_eq!(ledger.emitted().await.unwrap(), is);
    }
}

/// A plan without a secret, and one of the secret's third key.
#[tokio::test]
async fn plans_of_every_remedy_are_loaded_as_they_were_appended() {
    let (place, _kept) = fresh().await;
    let facts = Remedy::ALL.into_iter().zip(1_u32..).map(|(remedy, n)| {
        let plan = records::plan("web", n, remedy);
        assert_eq!(plan.secret.is_some(), remedy.needs_secret());
        let entry = Entry::Planned(Box::new(plan.clone()));
        (at("10:00:00"), Fact::Remediation { id: plan.id, entry })
    });
    let records = records::records(facts.collect());
    drop(ledger_of(&place, &records).await);
    assert_eq!(Ledger::open(&place).await.unwrap().load().await.unwrap(), records);
}
