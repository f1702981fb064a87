//! The real program while its table, or the way there, is in trouble.

use super::daemons::{PROJECTS, Setting, until};
use super::proxy::{ALL, CALLS, Fault, Proxy, Refusal};
use super::{new_name, person};
use std::process::Command;
use unthrottled::edge::ledger::{Store, lease};

/// Each tells what is wrong, and the program ends with the code for it.
#[tokio::test]
async fn where_the_table_can_not_be_used_nothing_starts_and_the_reason_is_told() {
    let proxy = Proxy::start().await;
    let mut stage = Setting::new();
    stage.says(&["ledger", "create"]);
    stage.throttle();
    stage.dynamodb.clone_from(&proxy.address);
    let refused = |status, code| Fault::Refused(Refusal::new(status, code));
    for (fault, told) in [
        (refused(400, "ThrottlingException"), "it takes no more calls for now"),
        (refused(400, "ProvisionedThroughputExceededException"), "it takes no more calls for now"),
        (refused(400, "AccessDeniedException"), "let the daemon's own credentials do dynamodb:GetItem"),
        (refused(500, "InternalServerError"), "look at the network"),
        (refused(503, ""), "look at the network"),
        (Fault::CutAnswer, "look at the network"),
        (Fault::LostCall, "look at the network"),
        (Fault::Silence, "look at the network"),
    ] {
        proxy.fail(&CALLS, fault.clone(), ALL);
        let (said, problem, code) = stage.said(&["run"]).await;
        proxy.heal();
        assert_eq!(code, Some(69), "{fault:?}: {problem}");
        assert!(problem.contains(told) && problem.contains(&stage.table.table), "{fault:?}: {problem}");
        assert!(!said.contains("DaemonStarted"), "{fault:?}: {said}");
    }
    assert_eq!(stage.sim.writes().len(), 0);
}

#[tokio::test]
async fn another_programs_table_starts_nothing() {
    use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
    let mut stage = Setting::new();
    let name = new_name();
    let key = KeySchemaElement::builder().attribute_name("pk").key_type(KeyType::Hash).build().unwrap();
    let kind = AttributeDefinition::builder().attribute_name("pk").attribute_type(ScalarAttributeType::S);
    let call = person().await.create_table().table_name(&name).billing_mode(BillingMode::PayPerRequest);
    call.key_schema(key).attribute_definitions(kind.build().unwrap()).send().await.unwrap();
    stage.table.table.clone_from(&name);
    for command in ["run", "status", "history", "ledger create"] {
        let arguments: Vec<&str> = command.split(' ').collect();
        let set = format!("ledger.table={name}");
        let (_, problem, code) = stage.said(&[&arguments[..], &["--set", &set]].concat()).await;
        assert_eq!(code, Some(69), "{command}: {problem}");
        assert!(problem.contains("its key is `pk` (S)"), "{command}: {problem}");
    }
}

/// Nothing is changed any more that can't be recorded, and the program ends as it can't go on.
#[tokio::test]
async fn a_table_that_is_deleted_in_the_middle_of_remediations_ends_the_daemon_before_it_does_more() {
    let stage = Setting::new();
    stage.says(&["ledger", "create"]);
    stage.throttle();
    let daemon = stage.run("first.log");
    until("writes", async || stage.sim.writes().len() > 10).await;
    person().await.delete_table().table_name(&stage.table.table).send().await.unwrap();
    let before = stage.sim.writes().len();
    let (code, problem) = daemon.ended().await;
    assert_eq!(code, Some(69), "{problem}");
    assert!(problem.contains("make it with `unthrottled ledger create`"), "{problem}");
    // One may have been on its way when the table went.
    let after = stage.sim.writes().len();
    assert!(after <= before + 1 && after < 3 * PROJECTS, "{before} writes, then {after}");
}

/// The holder is stopped in the middle of its work, for longer than its lease, and then goes on.
#[tokio::test]
async fn a_lease_that_is_lost_in_the_middle_of_remediations_is_waited_for_again_and_each_is_done_once() {
    let stage = Setting::new();
    stage.says(&["ledger", "create"]);
    let throttled = stage.throttle();
    let first = stage.run("first.log");
    until("writes", async || stage.sim.writes().len() > 10).await;
    signal("STOP", first.id());
    let second = stage.run("second.log");
    second.says("DaemonStarted").await;
    until("work of the second", async || stage.proven() > PROJECTS / 4).await;
    signal("CONT", first.id());
    first.says("LeaseLost").await;
    first.says("LeaseAwaited").await;
    assert_eq!(second.stop().await.code(), Some(0));
    // It takes up again what it had begun, and what the other did meanwhile.
    stage.all_are_verified().await;
    assert_eq!(first.stop().await.code(), Some(0));
    assert_eq!(lease::holder(&Store::DynamoDb(stage.table.clone())).await.unwrap(), None);
    stage.each_was_remedied_once(&throttled).await;
}

fn signal(name: &str, id: u32) {
    let sent = Command::new("kill").args([&format!("-{name}"), &id.to_string()]).status().unwrap();
    assert!(sent.success(), "kill -{name}");
}
