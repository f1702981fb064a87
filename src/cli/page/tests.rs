use super::*;
use crate::domain::build::{BuildId, PhaseName, ProjectName, RoleName};
use crate::domain::change::{Change, Edit};
use crate::domain::classify::Site;
use crate::domain::decide::{HoldReason, Judgement};
use crate::domain::history::{AccountLow, Fact, Proposal, Record};
use crate::domain::plan::{Plan, RetryPlan};
use crate::domain::quota::Low;
use crate::domain::recent::Recent;
use crate::domain::remediation::{Entry, EscalationReason, Remediation};
use crate::domain::testing;
use crate::edge::event::Place;
use crate::edge::metrics::{Coverage, Pulls};
use crate::edge::settings::Audience;
use crate::reconcile::{
    KeptGrant, LastTick, LowAccount, OpenRemediation, Rows, ScopeView, Sight, ToReset, Waiting, Waits,
};
use jiff::SignedDuration;

/// What comes from outside, and what it may be at its worst.
const HOSTILE: &[&str] = &[
    "</title></style></script><script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onload='alert(1)",
    "--><svg/onload=alert(1)>",
    "\u{1b}[31mred\u{1b}]8;;http://x\u{7}",
    "\u{202e}gnp.exe\u{2066}\u{200b}",
    "a\0b\r\u{9b}c",
    "&lt;b&gt;",
];

fn now() -> Timestamp {
    testing::at(60)
}

fn state(view: Option<&View>) -> State<'_> {
    State { view, live: Ok(()), ready: Ok(()), refresh: Refresh::Never, now: now() }
}

fn one<T>(row: T) -> Rows<T> {
    Rows { shown: vec![row], total: 1 }
}

fn none<T>() -> Rows<T> {
    Rows { shown: Vec::new(), total: 0 }
}

fn recent(records: &[Record]) -> Recent {
    let mut recent = Recent::default();
    records.iter().for_each(|record| recent.take(record, None));
    recent
}

/// Nothing has happened yet.
fn empty() -> View {
    View {
        at: now(),
        mode: Mode::Propose,
        poll_interval: SignedDuration::from_secs(30),
        page: PageSettings { audience: Audience::Loopback, hosts: Vec::new() },
        tick: None,
        scopes: Vec::new(),
        open: none(),
        proposed: none(),
        waiting: none(),
        kept: none(),
        to_reset: Vec::new(),
        low: Vec::new(),
        sums: recent(&[]).sums(),
    }
}

/// A plan whose every text is this one.
fn plan_of(text: &str) -> Plan {
    let mut plan = testing::plan("web:41");
    plan.project = ProjectName::new(text);
    plan.because = BuildId::new(format!("{text}:41"));
    plan.image = text.to_string();
    plan.phase = PhaseName::new(text);
    plan.policy = text.to_string();
    plan.credential = text.to_string();
    plan.role = RoleName::new(text);
    plan.retry = RetryPlan::No(text.to_string());
    let Change::Grant { after, .. } = testing::grant_change() else { panic!("a grant") };
    plan.changes = vec![
        Change::Grant { role: RoleName::new(text), policy: text.to_string(), before: None, after },
        Change::Project {
            edits: vec![
                Edit::Image { before: text.to_string(), after: text.to_string() },
                Edit::Variable { name: text.to_string(), reference: text.to_string() },
            ],
        },
    ];
    plan
}

/// Something of everything, and every text that may come from outside is this one.
fn view_of(text: &str) -> View {
    let plan = plan_of(text);
    let held = Judgement::Held { reason: HoldReason::Freeze, detail: text.to_string(), until: now() };
    let mut detected = testing::detected("web:41", Site::BuildImage);
    detected.build = BuildId::new(format!("{text}:41"));
    detected.number = None;
    let escalated = Entry::Escalated { reason: EscalationReason::Drift, detail: text.to_string() };
    let mut facts = vec![
        Fact::Detected(detected.clone()),
        Fact::Judged { build: detected.build.clone(), judgement: held.clone() },
        Fact::CredentialRotated { credential: text.to_string() },
    ];
    facts.push(Fact::Remediation { id: plan.id.clone(), entry: Entry::Planned(Box::new(plan.clone())) });
    let mut records = testing::records(facts);
    records.iter_mut().for_each(|record| record.scope = text.to_string());
    let mut recent = recent(&records);
    let call = Fact::Remediation { id: plan.id.clone(), entry: escalated };
    recent.take(&Record { seq: 5, at: now(), scope: text.to_string(), fact: call }, Some(&plan));
    let mut remediation = Remediation::begin(plan.clone(), now());
    remediation.apply(&testing::rollback(crate::domain::remediation::RollbackReason::Operator), now()).unwrap();
    let mut patch = testing::patch("web:41");
    patch.project = ProjectName::new(text);
    patch.why = text.to_string();
    let proposal = |what| Waits { scope: text.to_string(), because: BuildId::new(text), what };
    let sight = Sight {
        at: now(),
        coverage: Coverage { credentials_unusable: 1, ..Coverage::default() },
        incomplete: vec![(text.to_string(), text.to_string())],
        whole: None,
    };
    let place = Place { scope: text.to_string(), account: Some(text.to_string()), region: text.to_string() };
    View {
        tick: Some(LastTick { ended: now(), took: SignedDuration::ZERO, failed: Some(text.to_string()) }),
        scopes: vec![ScopeView { place, sight: Some(sight) }],
        open: one(OpenRemediation { scope: text.to_string(), remediation }),
        proposed: Rows {
            shown: vec![
                proposal(Proposal::Plan(Box::new(plan.clone()))),
                proposal(Proposal::GivenUp(Box::new(plan.clone()))),
                proposal(Proposal::Patch(Box::new(patch))),
            ],
            total: 3,
        },
        waiting: one(Waiting { scope: text.to_string(), detected, last: Some(held), due: now() }),
        kept: one(KeptGrant { id: plan.id, role: RoleName::new(text), by: ProjectName::new(text), since: now() }),
        to_reset: vec![ToReset {
            scope: text.to_string(),
            credential: text.to_string(),
            secret: Some(text.to_string()),
        }],
        low: vec![LowAccount {
            scope: text.to_string(),
            credential: text.to_string(),
            low: AccountLow { since: now(), reason: Low::FewLeft, detail: text.to_string() },
            now: Some(Pulls { remaining: 12, limit: 200 }),
        }],
        sums: recent.sums(),
        ..empty()
    }
}

/// The tags with their attributes, without what the attributes and the texts say.
fn skeleton(html: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some((_, tag)) = rest.split_once('<') {
        let (tag, after) = tag.split_once('>').unwrap();
        rest = after;
        if tag == "style" {
            rest = after.split_once("</style>").unwrap().1;
        }
        tags.push(tag.split('"').step_by(2).collect::<Vec<_>>().join("\"\""));
    }
    tags
}

#[test]
fn whatever_a_text_says_the_page_is_built_the_same() {
    let harmless = render(&state(Some(&view_of("web"))));
    for text in HOSTILE {
        let (live, ready) = (Ok(()), Err((*text).to_string()));
        let view = view_of(text);
        let hostile = render(&State { live, ready, ..state(Some(&view)) });
        // A page of which everything is read has one class that one that is not has not.
        assert_eq!(skeleton(&hostile), skeleton(&harmless), "{text:?}");
        let shown = hostile.matches(|c: char| c.is_control() && c != '\n').count();
        assert_eq!(shown, 0, "{text:?} leaves control characters");
        assert!(!hostile.contains(['\u{202e}', '\u{2066}', '\u{200b}']), "{text:?} leaves what turns the writing");
    }
    assert!(harmless.matches(">web<").count() > 10, "the text stands in many places");
}

#[test]
fn hostile_texts_can_be_read() {
    let page = render(&state(Some(&view_of("\"><img src=x onerror=alert(1)>"))));
    assert!(page.contains("<span class=\"name\">&quot;&gt;&lt;img src=x onerror=alert(1)&gt;</span>"));
    assert!(!page.contains("<img"));
}

#[test]
fn nothing_is_loaded_run_or_sent() {
    let page = render(&State { refresh: Refresh::Often, ..state(Some(&view_of("web"))) });
    for word in
        ["<script", "<link rel=\"style", "<form", "<iframe", "<object", "style=", "javascript:", "url(", "@import"]
    {
        assert!(!page.contains(word), "{word}");
    }
    let links: Vec<&str> = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(links.iter().all(|link| *link == "/" || link.starts_with("data:image/svg+xml,")), "{links:?}");
    assert!(!STYLE.contains('<'), "the style can't end early");
}

#[test]
fn it_tells_what_a_person_has_to_do() {
    let page = render(&state(Some(&view_of("web"))));
    for words in [
        "The ledger can't be used, and nothing is done without it: web",
        "unthrottled clear --project web",
        "unthrottled secret rotate web",
        "could not be read as a whole: web",
        "No project under any policy was seen yet",
        "unthrottled doctor",
    ] {
        assert!(page.contains(words), "{words}");
    }
    assert!(!render(&state(Some(&empty()))).contains("For a person"));
}

#[test]
fn a_change_is_shown_with_its_diff() {
    let page = render(&state(Some(&view_of("web"))));
    assert!(page.contains("<span class=\"added\">+ role web: inline policy web\n</span>"), "{page}");
    assert!(page.contains("<span class=\"gone\">-   environment.image = web\n</span>"));
    assert!(page.contains("<dt>Taken back as</dt><dd>because</dd>"));
    assert!(page.contains("a patch for the owner"));
}

#[test]
fn figures_are_those_of_the_history() {
    let ledger = include_str!("../../domain/history/ledger.jsonl");
    let records: Vec<Record> = ledger.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let view = View { sums: recent(&records).sums(), ..empty() };
    let page = render(&state(Some(&view)));
    let figure =
        |name: &str| page.split(&format!("data-figure=\"{name}\">")).nth(1).and_then(|rest| rest.split('<').next());
    assert_eq!(figure("rolled_back"), Some("2"));
    assert_eq!(figure("rolled_back/operator"), Some("1"));
    assert_eq!(figure("escalated"), Some("1"));
    assert_eq!(figure("by-hour"), Some("2"));
    assert_eq!(figure("mode"), Some("propose"));
    assert_eq!(page.matches("<tr data-seq=").count(), records.len());
}

#[test]
fn how_it_stands_is_what_the_health_says() {
    let view = empty();
    let word = |live: Result<(), String>, ready: Result<(), String>, view: Option<&View>| {
        let (tone, word, why) = standing(&State { live, ready, ..state(view) });
        format!("{tone} {word}: {why}")
    };
    let no = |why: &str| Err(why.to_string());
    assert_eq!(word(Ok(()), Ok(()), Some(&view)), "good ready: The last look reached every scope.");
    assert_eq!(word(Ok(()), no("no tick has ended yet"), Some(&view)), "warn not ready: No tick has ended yet.");
    assert_eq!(word(no("the loop is stuck"), Ok(()), Some(&view)), "bad stuck: The loop is stuck.");
    assert_eq!(word(Ok(()), no("no tick has ended yet"), None), "warn waiting: The loop has not begun.");
    assert!(render(&state(None)).contains("There is nothing to show yet"));
}

#[test]
fn it_loads_itself_again_only_when_asked() {
    let tick = LastTick { ended: now(), took: SignedDuration::ZERO, failed: None };
    let view = View { tick: Some(tick), ..empty() };
    assert!(!render(&state(Some(&view))).contains("http-equiv"));
    let often = render(&State { refresh: Refresh::Often, ..state(Some(&view)) });
    assert!(often.contains("<meta http-equiv=\"refresh\" content=\"30\">"));
}

#[test]
fn what_is_not_shown_is_counted() {
    let waiting = view_of("web").waiting.shown;
    let view = View { waiting: Rows { shown: waiting, total: 951 }, ..empty() };
    assert!(render(&state(Some(&view))).contains("and 950 more: <code>unthrottled status</code>"));
}

#[test]
fn the_board_says_which_settings_are_in_force() {
    let (board, clock) = (Board::default(), now as fn() -> Timestamp);
    let health = Health::new(SignedDuration::from_secs(90), clock);
    let nobody = PageSettings { audience: Audience::Nobody, hosts: Vec::new() };
    let page = page(board.clone(), health, nobody.clone());
    assert_eq!(page.settings(), nobody);
    board.show(empty());
    assert_eq!(page.settings().audience, Audience::Loopback, "they were read again since");
    board.clear();
    assert_eq!(page.settings(), nobody);
}
