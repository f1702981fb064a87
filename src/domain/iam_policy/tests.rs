//! What a policy names, and what it leaves out.

use super::*;
use crate::domain::policy::{Remedy, Retry};
use crate::domain::testing::policy;
use serde_json::json;

const BOUNDARY: &str = "arn:aws:iam::111122223333:policy/builds";

fn apply(globs: &[&str]) -> Policy {
    let project_globs = globs.iter().map(ToString::to_string).collect();
    Policy { mode: Mode::Apply, retry: Retry::Provisioning, project_globs, ..policy("all") }
}

fn place(scope: &str, region: &str) -> Place {
    Place { scope: scope.to_string(), region: region.to_string() }
}

fn grantee(policies: &[Policy]) -> Grantee<'_> {
    Grantee {
        account: Account { partition: "aws".to_string(), number: "111122223333".to_string() },
        policies,
        most: Mode::Apply,
        scopes: vec![place("here", "eu-central-1")],
        table: None,
        members: Vec::new(),
        bounds: Bounds::default(),
    }
}

impl Document {
    fn statement(&self, sid: &str) -> &Statement {
        self.statements.iter().find(|one| one.sid == sid).unwrap_or_else(|| panic!("no {sid} in {:#?}", self.sids()))
    }

    fn sids(&self) -> Vec<&str> {
        self.statements.iter().map(|one| one.sid.as_str()).collect()
    }

    fn allowed(&self) -> impl Iterator<Item = &Statement> {
        self.statements.iter().filter(|one| one.effect == Effect::Allow)
    }
}

#[test]
fn everything_is_named_and_only_lists_take_a_star() {
    let policies = [apply(&["svc-*"])];
    let mut grantee = grantee(&policies);
    grantee.table = Some(Table { name: "unthrottled".to_string(), region: "eu-central-1".to_string() });
    grantee.bounds.keys = vec!["arn:aws:kms:eu-central-1:111122223333:key/1".to_string()];
    let document = document(&grantee);
    insta::assert_snapshot!(format!("{:#}", document.json()));
    for statement in &document.statements {
        let star = statement.resources.contains(&"*".to_string());
        assert_eq!(star, statement.sid == "FindBuilds", "{statement:?}");
        assert!(statement.sentence.ends_with('.'), "{statement:?}");
    }
    assert!(document.statement("FindBuilds").sentence.contains("know no resources"));
}

#[test]
fn a_mode_below_apply_writes_nothing() {
    for (mode, sids) in [
        (Mode::Observe, vec!["FindBuilds", "ReadAnyProject", "ReadProjects", "ReadLogs", "NeverItself"]),
        (
            Mode::Propose,
            vec![
                "FindBuilds",
                "ReadAnyProject",
                "ReadProjects",
                "ReadLogs",
                "ReadServiceRoles",
                "CheckTheSecret",
                "NeverItself",
            ],
        ),
    ] {
        let policies = [apply(&["*"])];
        assert_eq!(document(&Grantee { most: mode, ..grantee(&policies) }).sids(), sids);
    }
}

#[test]
fn a_glob_that_iam_can_not_express_is_widened_and_the_sentence_says_so() {
    let policies = [apply(&["svc-[!x]*", "web"])];
    let document = document(&grantee(&policies));
    let change = document.statement("ChangeProjects");
    assert_eq!(change.resources, ["arn:aws:codebuild:eu-central-1:111122223333:project/*"]);
    assert!(change.sentence.contains("can't express `svc-[!x]*`"), "{}", change.sentence);
    assert!(!change.sentence.contains("`web`"), "{}", change.sentence);
    assert!(document.statement("ReadLogs").sentence.contains("svc-[!x]*"));
}

#[test]
fn only_what_may_be_changed_is_named_for_writes() {
    let propose = Policy { mode: Mode::Propose, ..apply(&["*"]) };
    let never = Policy { retry: Retry::Never, ..apply(&["web"]) };
    let policies = [apply(&["svc-*"]), never, propose];
    let document = document(&grantee(&policies));
    let projects = |sid: &str| {
        let resources = &document.statement(sid).resources;
        resources.iter().filter_map(|arn| arn.rsplit_once('/')).map(|(_, name)| name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(projects("ReadProjects"), ["*"]);
    assert_eq!(projects("ChangeProjects"), ["svc-*", "web"]);
    assert_eq!(projects("StartBuildsAgain"), ["svc-*"]);
}

#[test]
fn tags_are_a_condition_of_the_writes_of_their_own_policy() {
    let tags = [("team".to_string(), "payments".to_string())].into();
    let policies = [Policy { tags, ..apply(&["pay-*"]) }, apply(&["svc-*"])];
    let document = document(&grantee(&policies));
    let [open, tagged] = [document.statement("ChangeProjects"), document.statement("ChangeProjects2")];
    assert_eq!((open.conditions.len(), open.resources.len()), (0, 1));
    assert!(open.resources[0].ends_with("project/svc-*") && tagged.resources[0].ends_with("project/pay-*"));
    assert_eq!(
        tagged.json()["Condition"],
        json!({"StringEquals": {"aws:ResourceTag/team": ["payments"]}}),
        "{tagged:?}"
    );
}

#[test]
fn what_every_policy_leaves_out_is_denied_and_nothing_more() {
    let exclude = |globs: &[&str]| globs.iter().map(ToString::to_string).collect::<Vec<String>>();
    let one = Policy { exclude_globs: exclude(&["*-legacy", "x-[!1]"]), ..apply(&["svc-*"]) };
    let two = Policy { exclude_globs: exclude(&["*-legacy", "web-old"]), ..apply(&["web-*"]) };
    let both = [one.clone(), two];
    let denied = document(&grantee(&both));
    let statement = denied.statement("NeverTheExcluded");
    assert_eq!(statement.effect, Effect::Deny);
    assert_eq!(statement.resources, ["arn:aws:codebuild:eu-central-1:111122223333:project/*-legacy"]);
    let open = [one, apply(&["svc-a-legacy"])];
    assert!(!document(&grantee(&open)).sids().contains(&"NeverTheExcluded"));
}

#[test]
fn a_boundary_is_asked_for_and_kept_from_the_daemon() {
    let policies = [apply(&["*"])];
    let mut grantee = grantee(&policies);
    grantee.bounds.boundary = Some(BOUNDARY.to_string());
    grantee.bounds.roles = vec!["*".to_string(), "service-role/*".to_string()];
    let document = document(&grantee);
    let grant = document.statement("GrantTheSecret");
    assert_eq!(grant.resources, ["arn:aws:iam::111122223333:role/*"]);
    assert_eq!(grant.json()["Condition"], json!({"StringEquals": {"iam:PermissionsBoundary": [BOUNDARY]}}));
    let never = document.statement("NeverTheBoundary");
    assert_eq!((never.effect, never.resources.as_slice()), (Effect::Deny, [BOUNDARY.to_string()].as_slice()));
    let own = document.statement("NeverItself");
    assert!(own.resources.contains(&"arn:aws:iam::111122223333:role/unthrottled*".to_string()), "{own:?}");
    assert!(own.resources.contains(&"arn:aws:iam::111122223333:role/aws-service-role/*".to_string()), "{own:?}");
}

#[test]
fn scopes_of_one_account_share_statements_and_differ_where_they_differ() {
    let here = Policy { scopes: vec!["here".to_string()], ..apply(&["svc-*"]) };
    let there = Policy {
        scopes: vec!["there".to_string()],
        mode: Mode::Propose,
        provisioning: Vec::new(),
        later_phase: vec![Remedy::ProposePatch],
        ..policy("there")
    };
    let policies = [here, there];
    let mut grantee = grantee(&policies);
    grantee.scopes.push(place("there", "cn-north-1"));
    grantee.account.partition = "aws-cn".to_string();
    let document = document(&grantee);
    let regions = |sid: &str| {
        let resources = &document.statement(sid).resources;
        resources.iter().filter_map(|arn| arn.split(':').nth(3)).map(str::to_string).collect::<Vec<_>>()
    };
    assert_eq!(regions("ReadLogs"), ["eu-central-1", "cn-north-1"]);
    assert_eq!(regions("CheckTheSecret"), ["eu-central-1", "cn-north-1"]);
    assert_eq!(regions("ChangeProjects"), ["eu-central-1"]);
    assert!(document.statement("ReadLogs").resources.iter().all(|arn| arn.starts_with("arn:aws-cn:")));
    // The one reads all projects, the other only those that its policy names.
    assert_eq!(
        document.statement("ReadAnyProject").actions,
        ["codebuild:BatchGetBuilds", "codebuild:BatchGetProjects"]
    );
    assert_eq!(document.statement("ReadAnyProject2").actions, ["codebuild:BatchGetBuilds"]);
}

#[test]
fn a_scope_with_a_role_of_its_own_is_only_taken_on() {
    let policies = [apply(&["*"])];
    let member = "arn:aws:iam::444455556666:role/unthrottled";
    let grantee = Grantee { scopes: Vec::new(), members: vec![member.to_string()], ..grantee(&policies) };
    let document = document(&grantee);
    assert_eq!(document.sids(), ["TakeOnMemberRoles", "NeverItself"]);
    assert_eq!(document.statement("TakeOnMemberRoles").resources, [member]);
    assert_eq!(document.statement("TakeOnMemberRoles").actions, ["sts:AssumeRole"]);
}

#[test]
fn a_full_arn_of_a_secret_is_named_as_it_is() {
    let mut one = apply(&["*"]);
    one.credential.secret = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:hub-AbCdEf".to_string();
    let policies = [one.clone()];
    assert_eq!(document(&grantee(&policies)).statement("CheckTheSecret").resources, [one.credential.secret]);
}

#[test]
fn what_no_remedy_needs_is_not_there() {
    let mirror = Policy {
        provisioning: vec![Remedy::MirrorImage],
        later_phase: Vec::new(),
        retry: Retry::Never,
        ..apply(&["*"])
    };
    let policies = [mirror];
    let mut grantee = grantee(&policies);
    grantee.bounds.pass_role = true;
    let document = document(&grantee);
    let sids = document.sids();
    for absent in ["CheckTheSecret", "GrantTheSecret", "StartBuildsAgain"] {
        assert!(!sids.contains(&absent), "{sids:?}");
    }
    assert!(sids.contains(&"ChangeProjects") && sids.contains(&"PassServiceRoles"), "{sids:?}");
}

#[test]
fn each_name_stands_once_and_the_size_is_counted_without_white_space() {
    let policies: Vec<Policy> = (0..80).map(|n| apply(&[&format!("team-{n}-service-*")])).collect();
    let document = document(&grantee(&policies));
    assert!(document.characters() > INLINE_LIMIT, "{}", document.characters());
    let mut sids = document.sids();
    sids.dedup();
    assert_eq!(sids.len(), document.statements.len());
    let spaced = document.json().to_string().replace(',', " , ");
    assert_eq!(document.characters(), spaced.chars().filter(|c| !c.is_whitespace()).count());
    assert!(document.allowed().count() > 5);
}

#[test]
fn trust_is_for_ecs_or_for_the_daemon() {
    let account = Account { partition: "aws".to_string(), number: "111122223333".to_string() };
    let task = of_task(&account, "eu-central-1");
    assert_eq!(task["Statement"][0]["Condition"]["StringEquals"]["aws:SourceAccount"], "111122223333");
    let member = of_member("arn:aws:iam::111122223333:role/unthrottled", Some("prod"));
    assert_eq!(member["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"], "prod");
    assert!(of_member("arn:aws:iam::111122223333:role/unthrottled", None)["Statement"][0]["Condition"].is_null());
}
