//! Calls that DynamoDB, or something before it, refuses, answers badly or not at all: what follows is an error that says
//! what to do, or the work goes on; no entry is lost, and none is there twice.

use super::lost_answers::{by_way_of, projects};
use super::proxy::{ALL, CALLS, Fault, Proxy, Refusal, WRITES};
use super::{cleared, new_table, open, person, records};
use records::{SCOPE, at};
use std::time::Duration;
use tokio::sync::Notify;
use unthrottled::domain::history::Record;
use unthrottled::edge::aws::{Connection, Timeouts};
use unthrottled::edge::ledger::lease::{self, LeaseError};
use unthrottled::edge::ledger::table::{TableError, TableStore};
use unthrottled::edge::ledger::{Ledger, LedgerError, Store};

/// How often each call is sent.
const ATTEMPTS: u32 = 3;

/// More often than calls and appends are tried.
const OFTEN: u32 = 100;

const THROTTLED: [&str; 3] = ["ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"];

/// A table, a way to it, and a ledger that is open on that way.
struct Scene {
    direct: TableStore,
    proxy: Proxy,
    by_way: TableStore,
    ledger: Ledger,
}

impl Scene {
    async fn new() -> Scene {
        let direct = new_table().await;
        let proxy = Proxy::start().await;
        let by_way = by_way_of(&proxy, &direct, ATTEMPTS);
        let ledger = open(&by_way).await;
        Scene { direct, proxy, by_way, ledger }
    }

    /// Calls that are not answered are given up soon.
    async fn impatient() -> Scene {
        let scene = Scene::new().await;
        let [connect, attempt, operation] = [300, 300, 700].map(Duration::from_millis);
        let timeouts = Timeouts { connect, attempt, operation };
        let connection = Box::new(Connection { timeouts, ..*scene.by_way.connection });
        let by_way = TableStore { connection, ..scene.by_way };
        Scene { ledger: open(&by_way).await, by_way, ..scene }
    }

    async fn append(&self, project: &str) -> Result<Record, LedgerError> {
        let head = self.there().await.len() as u64;
        self.ledger.append(head, at("10:00:00"), SCOPE, &cleared(project)).await
    }

    /// The projects of all entries, as the table has them.
    async fn there(&self) -> Vec<String> {
        projects(&self.direct).await
    }

    /// The append is done as if nothing had happened.
    async fn goes_on(&self, fault: Fault, times: u32) {
        let before = self.there().await.len();
        let project = format!("p{before}");
        self.proxy.fail(&["TransactWriteItems"], fault.clone(), times);
        let record = self.append(&project).await.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        self.proxy.heal();
        assert_eq!(record.seq, before as u64 + 1, "{fault:?}");
        assert_eq!(self.there().await[before..], [project], "{fault:?}");
    }

    /// The append is not done, which the error says; later it is done once.
    async fn is_told(&self, fault: Fault) -> String {
        let before = self.there().await;
        let project = format!("p{}", before.len());
        self.proxy.fail(&["TransactWriteItems"], fault.clone(), ALL);
        let error = self.append(&project).await.expect_err("an append that could not be done");
        self.proxy.heal();
        assert!(!error.is_conflict(), "{fault:?}: {error}");
        assert_eq!(self.there().await, before, "{fault:?}");
        self.append(&project).await.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert_eq!(self.there().await.len(), before.len() + 1, "{fault:?}");
        whole(&error)
    }
}

/// An error and its causes, as a person reads it.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

#[tokio::test]
async fn a_throttled_append_is_sent_again_and_then_told() {
    let scene = Scene::new().await;
    for code in THROTTLED {
        let fault = Fault::Refused(Refusal::new(400, code));
        scene.goes_on(fault.clone(), ATTEMPTS - 1).await;
        let told = scene.is_told(fault).await;
        assert!(told.contains("it takes no more calls for now") && told.contains(code), "{told}");
        assert!(told.contains(&scene.direct.table), "{told}");
    }
}

#[tokio::test]
async fn reads_that_are_throttled_are_no_empty_ledger() {
    let scene = Scene::new().await;
    scene.append("web").await.unwrap();
    for code in THROTTLED {
        for operation in ["GetItem", "Query"] {
            scene.proxy.fail(&[operation], Fault::Refused(Refusal::new(400, code)), ALL);
            let error = scene.ledger.load().await.unwrap_err();
            scene.proxy.heal();
            assert!(matches!(&error, LedgerError::Table(error) if error.may_pass()), "{error}");
        }
    }
    assert_eq!(scene.ledger.load().await.unwrap().len(), 1);
}

/// Other transactions at the same items, or too many: nothing was written, and it is sent again.
#[tokio::test]
async fn a_transaction_that_met_another_is_sent_again_and_then_told() {
    let scene = Scene::new().await;
    for reason in ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded"] {
        for reasons in [[reason, "None"], ["None", reason], [reason, reason]] {
            scene.goes_on(Fault::Refused(Refusal::cancelled(&reasons)), 3).await;
        }
        let told = scene.is_told(Fault::Refused(Refusal::cancelled(&["None", reason]))).await;
        assert!(told.contains("written by others at the same moment, or throttled, again and again"), "{told}");
    }
    scene.goes_on(Fault::Refused(Refusal::new(400, "TransactionInProgressException")), 2).await;
}

/// A condition that did not hold for a moment, as the other transaction was under way, is looked at before it is believed.
#[tokio::test]
async fn a_condition_that_failed_beside_a_conflict_is_looked_at() {
    let scene = Scene::new().await;
    for reasons in [["ConditionalCheckFailed", "TransactionConflict"], ["None", "ConditionalCheckFailed"]] {
        scene.goes_on(Fault::Refused(Refusal::cancelled(&reasons)), 2).await;
    }
    // Where others have appended meanwhile, it is what it says.
    let head = scene.there().await.len() as u64;
    open(&scene.direct).await.append(head, at("10:00:00"), SCOPE, &cleared("other")).await.unwrap();
    let reasons = ["TransactionConflict", "ConditionalCheckFailed"];
    scene.proxy.fail(&["TransactWriteItems"], Fault::Refused(Refusal::cancelled(&reasons)), 1);
    let error = scene.ledger.append(head, at("10:00:00"), SCOPE, &cleared("ours")).await.unwrap_err();
    assert!(matches!(error, LedgerError::Conflict { .. }), "{error}");
    assert_eq!(scene.there().await.last().map(String::as_str), Some("other"));
}

#[tokio::test]
async fn what_the_credentials_may_not_do_is_told_with_what_they_need() {
    let scene = Scene::new().await;
    for code in ["AccessDeniedException", "UnrecognizedClientException"] {
        let told = scene.is_told(Fault::Refused(Refusal::new(400, code))).await;
        assert!(told.contains("dynamodb:GetItem, Query, PutItem, UpdateItem and ConditionCheckItem"), "{told}");
        scene.proxy.fail(&CALLS, Fault::Refused(Refusal::new(400, code)), ALL);
        let opened = Ledger::open(Store::DynamoDb(scene.by_way.clone())).await.unwrap_err();
        let taken = lease::take(&Store::DynamoDb(scene.by_way.clone())).await.unwrap_err();
        scene.proxy.heal();
        assert!(matches!(&opened, LedgerError::Table(error) if !error.may_pass()), "{opened}");
        assert!(matches!(&taken, LeaseError::Table(_)) && !taken.may_pass(), "{taken}");
    }
}

#[tokio::test]
async fn a_failing_server_is_asked_again_whether_or_not_it_did_it() {
    let scene = Scene::new().await;
    for refusal in
        [Refusal::new(500, "InternalServerError"), Refusal::new(503, "ServiceUnavailable"), Refusal::new(502, "")]
    {
        scene.goes_on(Fault::Refused(refusal.clone()), ATTEMPTS - 1).await;
        scene.goes_on(Fault::RefusedAfter(refusal.clone()), 1).await;
        // It is looked for by its mark: whatever the answers say, it is there.
        scene.goes_on(Fault::RefusedAfter(refusal.clone()), OFTEN).await;
        let told = scene.is_told(Fault::Refused(refusal)).await;
        assert!(told.contains("look at the network"), "{told}");
    }
}

/// The first attempt was done and nobody heard of it, and the others were not let through.
#[tokio::test]
async fn an_append_that_was_done_and_then_throttled_is_done_once() {
    let scene = Scene::new().await;
    for code in THROTTLED {
        scene.proxy.fail(&["TransactWriteItems"], Fault::LostAnswer, 1);
        scene.goes_on(Fault::Refused(Refusal::new(400, code)), ATTEMPTS - 1).await;
    }
    scene.proxy.fail(&["TransactWriteItems"], Fault::LostAnswer, 1);
    scene.goes_on(Fault::Refused(Refusal::cancelled(&["TransactionConflict", "None"])), OFTEN).await;
}

/// Otherwise it would wait for itself to fall silent.
#[tokio::test]
async fn a_lease_that_was_taken_and_then_throttled_is_held() {
    let scene = Scene::new().await;
    let store = Store::DynamoDb(scene.by_way.clone());
    scene.proxy.fail(&["UpdateItem"], Fault::LostAnswer, 1);
    scene.proxy.fail(&["UpdateItem"], Fault::Refused(Refusal::new(400, "ThrottlingException")), ATTEMPTS - 1);
    let lease = lease::take(&store).await.unwrap();
    let ledger = Ledger::open(&store).await.unwrap().under(&lease);
    ledger.append(0, at("10:00:00"), SCOPE, &cleared("web")).await.unwrap();
    lease.release().await;
    assert_eq!(lease::holder(&store).await.unwrap(), None);
}

#[tokio::test]
async fn an_append_whose_answer_is_cut_or_empty_is_done_once() {
    let scene = Scene::new().await;
    for times in [1, OFTEN] {
        scene.goes_on(Fault::CutAnswer, times).await;
    }
    scene.goes_on(Fault::EmptyAnswer, OFTEN).await;
}

#[tokio::test]
async fn a_read_whose_answer_is_cut_or_empty_is_no_shorter_ledger() {
    let scene = Scene::new().await;
    for project in ["a", "b", "c"] {
        scene.append(project).await.unwrap();
    }
    let whole_ledger = scene.ledger.load().await.unwrap();
    for operation in ["GetItem", "Query"] {
        for fault in [Fault::CutAnswer, Fault::EmptyAnswer] {
            scene.proxy.fail(&[operation], fault.clone(), ALL);
            for read in [scene.ledger.load().await, scene.ledger.since(1).await] {
                read.expect_err(&format!("{operation} met {fault:?}"));
            }
            scene.proxy.heal();
            scene.proxy.fail(&[operation], fault, 1);
            assert_eq!(scene.ledger.load().await.unwrap(), whole_ledger);
            scene.proxy.heal();
        }
    }
    // A ledger whose head can't be seen is not begun anew.
    scene.proxy.fail(&["GetItem"], Fault::EmptyAnswer, ALL);
    let error = Ledger::open(Store::DynamoDb(scene.by_way.clone())).await.unwrap_err();
    assert!(matches!(error, LedgerError::Table(TableError::Broken { .. })), "{error}");
    assert_eq!(scene.there().await, ["a", "b", "c"]);
}

#[tokio::test]
async fn an_append_that_is_not_answered_in_time_is_done_once_or_told() {
    let scene = Scene::impatient().await;
    scene.goes_on(Fault::Silence, 1).await;
    scene.goes_on(Fault::Silence, OFTEN).await;
    scene.proxy.fail(&["TransactWriteItems"], Fault::Late, 1);
    let error = {
        scene.proxy.fail(&["TransactWriteItems"], Fault::LostCall, ALL);
        scene.ledger.append(2, at("10:00:00"), SCOPE, &cleared("late")).await.unwrap_err()
    };
    assert!(whole(&error).contains("look at the network"), "{error}");
    scene.proxy.heal();
    assert_eq!(scene.there().await.len(), 2);

    // It arrives after all: what was decided without it is decided anew.
    scene.proxy.let_on();
    let arrived = async {
        while scene.there().await.len() < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), arrived).await.expect("the late call arrives");
    let error = scene.ledger.append(2, at("10:00:00"), SCOPE, &cleared("late")).await.unwrap_err();
    assert!(error.is_conflict(), "{error}");
    assert_eq!(scene.there().await, ["p0", "p1", "late"]);
}

#[tokio::test]
async fn a_table_that_is_deleted_in_the_middle_is_told_and_not_made_again() {
    let scene = Scene::new().await;
    let store = Store::DynamoDb(scene.by_way.clone());
    let lease = lease::take(&store).await.unwrap();
    let ledger = Ledger::open(&store).await.unwrap().under(&lease);
    ledger.append(0, at("10:00:00"), SCOPE, &cleared("web")).await.unwrap();
    person().await.delete_table().table_name(&scene.direct.table).send().await.unwrap();
    let missing = |error: &LedgerError| matches!(error, LedgerError::Table(TableError::NoTable { .. }));
    let appended = ledger.append(1, at("10:00:00"), SCOPE, &cleared("web")).await.unwrap_err();
    let read = ledger.head().await.unwrap_err();
    assert!(missing(&appended) && missing(&read), "{appended}; {read}");
    assert!(appended.to_string().contains("unthrottled ledger create"), "{appended}");
    lease.lost().await;
    // It is known from then on without asking.
    assert!(matches!(ledger.head().await.unwrap_err(), LedgerError::LeaseLost { .. }));
    let error = lease::wait(&store, |_| ()).await.unwrap_err();
    assert!(matches!(&error, LeaseError::Table(TableError::NoTable { .. })) && !error.may_pass(), "{error}");
}

/// A holder that meets trouble for less than its lease keeps it, and its entries with it.
#[tokio::test]
async fn a_lease_lives_through_trouble_that_passes() {
    for fault in [
        Fault::Refused(Refusal::new(400, "ThrottlingException")),
        Fault::Refused(Refusal::new(500, "InternalServerError")),
        Fault::RefusedAfter(Refusal::new(500, "InternalServerError")),
        Fault::LostAnswer,
    ] {
        let scene = Scene::new().await;
        let store = Store::DynamoDb(scene.by_way.clone());
        scene.proxy.fail(&WRITES, fault.clone(), 2);
        let lease = lease::take(&store).await.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        let ledger = Ledger::open(&store).await.unwrap().under(&lease);
        // Four attempts are one call and a bit: the renewal fails, and the next try is good.
        scene.proxy.fail(&["UpdateItem"], fault.clone(), ATTEMPTS + 1);
        let other = Store::DynamoDb(scene.direct.clone());
        tokio::select! {
            () = lease.lost() => panic!("{fault:?}: lost"),
            taken = lease::take(&other) => assert!(taken.unwrap_err().is_held(), "{fault:?}"),
        }
        ledger.append(0, at("10:00:00"), SCOPE, &cleared("web")).await.unwrap();
    }
}

/// Waiting goes on while the table can't be asked, and ends where that does not pass by itself.
#[tokio::test]
async fn a_lease_is_waited_for_through_trouble_that_passes() {
    let scene = Scene::new().await;
    let held = lease::take(&Store::DynamoDb(scene.direct.clone())).await.unwrap();
    let store = Store::DynamoDb(scene.by_way.clone());
    let seen = Notify::new();
    let waits = lease::wait(&store, |_| {
        let throttled = Refusal::new(400, "ProvisionedThroughputExceededException");
        scene.proxy.fail(&CALLS, Fault::Refused(throttled), 2 * ATTEMPTS);
        seen.notify_one();
    });
    let gives_back = async {
        seen.notified().await;
        held.release().await;
    };
    let (taken, ()) = tokio::join!(waits, gives_back);
    taken.unwrap().release().await;

    let _held = lease::take(&Store::DynamoDb(scene.direct.clone())).await.unwrap();
    scene.proxy.heal();
    let waits = lease::wait(&store, |_| {
        scene.proxy.fail(&CALLS, Fault::Refused(Refusal::new(400, "AccessDeniedException")), ALL);
    });
    let error = waits.await.unwrap_err();
    assert!(error.to_string().contains("let the daemon's own credentials do"), "{error}");
}
