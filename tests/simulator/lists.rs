//! Lists and batches of CodeBuild.

use jiff::SignedDuration;
use unthrottled::simulator::Unknowns;

use crate::{codebuild, raw, refusal, simulator, under};

#[tokio::test]
async fn builds_come_a_hundred_a_page_newest_first_and_new_ones_do_not_shift_the_pages() {
    let sim = simulator();
    let started: Vec<String> = (0..250).map(|_| sim.start_build("web")).collect();
    let client = codebuild(&sim);
    let mut listed = Vec::new();
    let mut sizes = Vec::new();
    let mut token = None;
    loop {
        let page = client.list_builds().set_next_token(token).send().await.expect("a page");
        sizes.push(page.ids().len());
        listed.extend(page.ids().to_vec());
        sim.start_build("late");
        token = page.next_token().map(ToOwned::to_owned);
        if token.is_none() {
            break;
        }
    }
    let newest_first: Vec<String> = started.into_iter().rev().collect();
    assert_eq!(sizes, [100, 100, 50]);
    assert_eq!(listed, newest_first);
}

#[tokio::test]
async fn exactly_a_hundred_builds_have_no_second_page() {
    let sim = simulator();
    for _ in 0..100 {
        sim.start_build("web");
    }
    let page = codebuild(&sim).list_builds_for_project().project_name("web").send().await.expect("a page");
    assert_eq!((page.ids().len(), page.next_token()), (100, None));
}

#[tokio::test]
async fn a_sort_order_beside_a_token_is_refused_and_the_order_of_the_first_page_goes_on() {
    let sim = simulator();
    let started: Vec<String> = (0..101).map(|_| sim.start_build("web")).collect();
    let client = codebuild(&sim);
    let list = || client.list_builds_for_project().project_name("web");
    let first = list().sort_order("ASCENDING".into()).send().await.expect("a page");
    assert_eq!(first.ids(), &started[..100]);
    let token = first.next_token().expect("one more build");
    let refused = list().sort_order("ASCENDING".into()).next_token(token).send().await;
    assert_eq!(
        refusal(refused),
        ("InvalidInputException".to_owned(), "Sort order can't be specified when passing a nextToken".to_owned())
    );
    let second = list().next_token(token).send().await.expect("a page");
    assert_eq!(second.ids(), &started[100..]);
    let elsewhere = client.list_projects().next_token(token).send().await;
    assert_eq!(refusal(elsewhere).0, "InvalidInputException");
}

#[tokio::test]
async fn batches_take_one_to_a_hundred_and_name_what_is_missing() {
    let sim = simulator();
    let id = sim.start_build("web");
    let client = codebuild(&sim);
    let found = client.batch_get_builds().ids(&id).ids("web:none").send().await.expect("a batch");
    assert_eq!(found.builds()[0].id(), Some(id.as_str()));
    assert_eq!(found.builds_not_found(), ["web:none"]);
    for ids in [vec![], vec![id; 101]] {
        let refused = client.batch_get_builds().set_ids(Some(ids)).send().await;
        assert_eq!(refusal(refused).0, "InvalidInputException");
    }
    let arn = sim.account(|a| a.project("web").arn());
    let projects = client.batch_get_projects().names(arn).names("none").send().await.expect("a batch");
    assert_eq!(projects.projects()[0].name(), Some("web"));
    assert_eq!(projects.projects_not_found(), ["none"]);
}

#[tokio::test]
async fn builds_outlive_their_project_and_can_be_deleted_by_themselves() {
    let sim = simulator();
    let kept = sim.start_build("web");
    let gone = sim.start_build("web");
    sim.delete_project("web");
    sim.delete_build(&gone);
    let client = codebuild(&sim);
    assert_eq!(client.list_builds().send().await.expect("a page").ids(), [kept]);
    let projects = client.batch_get_projects().names("web").send().await.expect("a batch");
    assert_eq!(projects.projects_not_found(), ["web"]);
    let (code, message) = refusal(client.list_builds_for_project().project_name("web").send().await);
    assert_eq!(code, "ResourceNotFoundException");
    assert_eq!(message, "Project cannot be found: arn:aws:codebuild:us-east-1:111122223333:project/web");
    let builds = client.batch_get_builds().ids(&gone).send().await.expect("a batch");
    assert_eq!(builds.builds_not_found(), [gone]);
}

#[tokio::test]
async fn projects_are_sorted_by_name_or_by_their_last_change() {
    let sim = simulator();
    sim.account(|a| {
        for name in ["beta", "alpha", "gamma"] {
            a.project(name);
        }
    });
    sim.advance(SignedDuration::from_secs(60));
    sim.edit_project("alpha", |json| json["description"] = "new".into());
    let client = codebuild(&sim);
    let by_name = client.list_projects().send().await.expect("a page");
    assert_eq!(by_name.projects(), ["alpha", "beta", "gamma"]);
    let newest = client.list_projects().sort_by("LAST_MODIFIED_TIME".into()).sort_order("DESCENDING".into());
    assert_eq!(newest.send().await.expect("a page").projects()[0], "alpha");
}

#[tokio::test]
async fn stale_reads_show_a_change_later_and_the_world_as_built_at_once() {
    let sim = under(Unknowns { stale_reads: SignedDuration::from_secs(10), ..Unknowns::default() });
    sim.account(|a| {
        a.project("web").image("node:22");
    });
    let client = codebuild(&sim);
    let description = || async {
        let answer = client.batch_get_projects().names("web").send().await.expect("a batch");
        answer.projects()[0].description().map(ToOwned::to_owned)
    };
    client.update_project().name("web").description("new").send().await.expect("accepted");
    let id = sim.start_build("web");
    assert_eq!(description().await, None);
    assert!(client.list_builds().send().await.expect("a page").ids().is_empty());
    sim.advance(SignedDuration::from_secs(10));
    assert_eq!(description().await.as_deref(), Some("new"));
    assert_eq!(client.list_builds().send().await.expect("a page").ids(), [id]);
}

#[tokio::test]
async fn what_is_not_implemented_is_unknown_and_what_is_no_json_is_no_request() {
    let sim = simulator();
    let (status, body) = raw(&sim, "CodeBuild_20161006.DeleteProject", "{\"name\": \"web\"}").await;
    assert_eq!((status, &body["__type"]), (400, &"UnknownOperationException".into()));
    let (status, body) = raw(&sim, "CodeBuild_20161006.ListBuilds", "{").await;
    assert_eq!((status, &body["__type"]), (400, &"SerializationException".into()));
    let iam = aws_sdk_iam::Client::new(&sim.sdk_config());
    assert_eq!(refusal(iam.list_roles().send().await).0, "InvalidAction");
}
