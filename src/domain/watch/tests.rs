//! A small model of CodeBuild's list, newest first, in pages; whatever happens to it, no build is lost.

use super::*;
use crate::domain::testing::*;
use proptest::prelude::*;

/// One build of the model.
#[derive(Clone, Debug)]
struct Listed {
    id: BuildId,
    started: Timestamp,
    ended: Option<Timestamp>,
}

#[derive(Clone, Debug)]
struct Model {
    now: Timestamp,
    page: usize,
    /// Newest first.
    list: Vec<Listed>,
    started: usize,
    watch: Watch,
    /// Builds that were read when they were over.
    dealt_with: BTreeSet<BuildId>,
    /// What the list shows first.
    order: Order,
}

/// What can happen.
#[derive(Clone, Debug)]
enum Happening {
    Starts(usize),
    /// The build at this place in the list ends.
    Ends(usize),
    /// The build at this place in the list is deleted.
    Deleted(usize),
    Passes(i64),
    /// A tick; the page of this number can't be read.
    Tick {
        failing_page: Option<usize>,
        failing_read: Reading,
        starts_between_pages: usize,
    },
    Restart,
}

/// How the reading of builds goes in a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Well,
    Fails,
}

impl Model {
    fn new(page: usize) -> Model {
        Model {
            now: at(0),
            page,
            list: Vec::new(),
            started: 0,
            watch: Watch::default(),
            dealt_with: BTreeSet::new(),
            order: Order::NewestFirst,
        }
    }

    fn starts(&mut self, builds: usize) {
        for _ in 0..builds {
            self.started += 1;
            let build = Listed { id: id(&format!("web:{:05}", self.started)), started: self.now, ended: None };
            match self.order {
                Order::NewestFirst => self.list.insert(0, build),
                Order::Unordered => self.list.push(build),
            }
        }
    }

    fn happens(&mut self, what: &Happening) {
        match what {
            Happening::Starts(builds) => self.starts(*builds),
            Happening::Ends(place) => {
                let now = self.now;
                if let Some(build) = self.list.get_mut(*place) {
                    build.ended.get_or_insert(now);
                }
            }
            Happening::Deleted(place) if *place < self.list.len() => {
                let gone = self.list.remove(*place);
                self.dealt_with.insert(gone.id);
            }
            Happening::Deleted(_) => (),
            Happening::Passes(passed) => self.now += seconds(*passed),
            Happening::Tick { failing_page, failing_read, starts_between_pages } => {
                self.sweep(*failing_page, *starts_between_pages);
                if *failing_read == Reading::Well {
                    self.read();
                }
                self.now += seconds(30);
            }
            Happening::Restart => {
                let text = serde_json::to_string(&self.watch).unwrap();
                self.watch = serde_json::from_str(&text).unwrap();
            }
        }
    }

    fn build(&self, listed: &Listed) -> Build {
        let read = build(listed.id.as_str()).started_at(listed.started);
        match listed.ended {
            Some(ended) => read.ended_at(ended),
            None => read.running(),
        }
    }

    /// One sweep, as the daemon does it. Answers the pages that it took, or none if one failed.
    fn sweep(&mut self, failing: Option<usize>, starts_between_pages: usize) -> Option<usize> {
        let mut sweep = self.watch.sweep(seconds(7_200), self.now);
        let mut read: BTreeMap<BuildId, Build> = BTreeMap::new();
        let mut after: Option<BuildId> = None;
        let mut pages = 0;
        loop {
            if failing == Some(pages) {
                return None;
            }
            let from = match &after {
                None => 0,
                Some(last) => self.list.iter().position(|b| b.id == *last)? + 1,
            };
            let rest = &self.list[from..];
            let page: Vec<Listed> = rest.iter().take(self.page).cloned().collect();
            let is_last = rest.len() <= self.page;
            pages += 1;
            let ids: Vec<BuildId> = page.iter().map(|b| b.id.clone()).collect();
            after = ids.last().cloned();
            if sweep.page(&ids) == Next::Enough || page.is_empty() && is_last {
                break;
            }
            let ends = [ids.first(), ids.last()];
            let wanted = page.iter().filter(|b| ends.contains(&Some(&b.id)) || sweep.is_unknown(&b.id));
            let builds: Vec<Build> = wanted.map(|listed| self.build(listed)).collect();
            read.extend(builds.iter().map(|b| (b.id.clone(), b.clone())));
            if sweep.reaches_back(&ids, &builds) == Next::Enough || is_last {
                break;
            }
            self.starts(starts_between_pages);
        }
        let recent = |id: &&BuildId| read.get(*id).is_none_or(|build| sweep.wants(build));
        let fresh: Vec<BuildId> = sweep.listed().iter().filter(recent).cloned().collect();
        self.watch.take_in(sweep, &fresh);
        Some(pages)
    }

    fn read(&mut self) {
        for id in self.watch.due(self.now) {
            match self.list.iter().find(|listed| listed.id == id) {
                None => self.watch.close(&id),
                Some(listed) if listed.ended.is_some() => {
                    self.dealt_with.insert(id.clone());
                    self.watch.close(&id);
                }
                Some(listed) => {
                    let build = self.build(listed);
                    self.watch.keep_unfinished(&build, self.now);
                }
            }
        }
    }

    /// Everything ends, and nothing fails any more.
    fn comes_to_rest(&mut self) {
        for place in 0..self.list.len() {
            self.happens(&Happening::Ends(place));
        }
        for _ in 0..3 {
            self.sweep(None, 0);
            self.read();
            self.now += SignedDuration::from_hours(1);
        }
    }

    fn lost(&self) -> Vec<&BuildId> {
        self.list.iter().map(|b| &b.id).filter(|id| !self.dealt_with.contains(id)).collect()
    }
}

fn happening() -> impl Strategy<Value = Happening> {
    let reading = prop_oneof![4 => Just(Reading::Well), 1 => Just(Reading::Fails)];
    let page = prop::option::weighted(0.3, 0_usize..4);
    prop_oneof![
        4 => (1_usize..12).prop_map(Happening::Starts),
        3 => (0_usize..30).prop_map(Happening::Ends),
        1 => (0_usize..30).prop_map(Happening::Deleted),
        2 => (1_i64..1_500).prop_map(Happening::Passes),
        6 => (page, reading, 0_usize..3).prop_map(|(failing_page, failing_read, starts_between_pages)| {
            Happening::Tick { failing_page, failing_read, starts_between_pages }
        }),
        1 => Just(Happening::Restart),
    ]
}

proptest! {
    #[test]
    fn no_build_is_lost(page in 1_usize..8, happenings in prop::collection::vec(happening(), 1..60)) {
        let mut model = Model::new(page);
        // The first sweep begins the watch; what is older than the look-back is not asked for.
        model.sweep(None, 0);
        for happening in &happenings {
            model.happens(happening);
        }
        model.comes_to_rest();
        prop_assert_eq!(model.lost(), Vec::<&BuildId>::new());
        prop_assert_eq!(model.watch.open().count(), 0);
    }

    #[test]
    fn a_sweep_reads_one_page_and_one_more_for_each_full_page_of_new_builds(
        page in 1_usize..9,
        pages_before in 1_usize..4,
        new in 0_usize..40,
    ) {
        let mut model = Model::new(page);
        model.starts(page * pages_before);
        model.now += seconds(30);
        model.sweep(None, 0);
        model.now += seconds(30);
        model.starts(new);
        prop_assert_eq!(model.sweep(None, 0), Some(1 + new / page));
        model.now += seconds(30);
        prop_assert_eq!(model.sweep(None, 0), Some(1), "a quiet sweep costs one page");
    }
}

#[test]
fn a_first_sweep_stops_where_the_look_back_ends() {
    let mut model = Model::new(3);
    for _ in 0..40 {
        model.starts(1);
        model.now += seconds(600);
    }
    // Of the last two hours are 12 builds; the page after those shows that it is far enough.
    assert_eq!(model.sweep(None, 0), Some(5));
    let waited_for: Vec<&str> = model.watch.open().map(|(id, _)| id.as_str()).collect();
    assert!(waited_for.contains(&"web:00040") && waited_for.contains(&"web:00029"));
    assert!(!waited_for.contains(&"web:00020"));
}

#[test]
fn a_sweep_that_fails_leaves_no_trace() {
    let mut model = Model::new(2);
    model.starts(7);
    let before = model.watch.clone();
    assert_eq!(model.sweep(Some(2), 0), None);
    assert_eq!(model.watch, before);
}

#[test]
fn deleting_everything_that_was_known_costs_pages_and_no_build() {
    let mut model = Model::new(2);
    model.starts(6);
    model.comes_to_rest();
    model.list.clear();
    model.starts(5);
    model.comes_to_rest();
    assert_eq!(model.lost(), Vec::<&BuildId>::new());
}

#[test]
fn a_list_that_is_oldest_first_is_read_whole_from_then_on() {
    let mut model = Model::new(3);
    model.order = Order::Unordered;
    // Each page alone spans less than what swaps among builds that start together.
    for _ in 0..12 {
        model.starts(1);
        model.now += seconds(120);
    }
    assert_eq!(model.sweep(None, 0), Some(4));
    model.starts(4);
    assert_eq!(model.sweep(None, 0), Some(6));
    model.comes_to_rest();
    assert_eq!(model.lost(), Vec::<&BuildId>::new());
    assert_eq!(model.watch.order, Order::Unordered);
}

#[test]
fn builds_that_swap_places_are_no_other_order() {
    let mut sweep = Watch::default().sweep(seconds(7_200), at(0));
    let page = [id("web:1"), id("web:2")];
    let builds = [build("web:1").started_at(at(-300)), build("web:2").started_at(at(-100))];
    sweep.page(&page);
    assert_eq!(sweep.reaches_back(&page, &builds), Next::Page);
    assert_eq!(sweep.order(), Order::NewestFirst);
}

#[test]
fn a_list_that_goes_back_in_time_by_more_than_swaps_do_is_in_another_order() {
    for (later, order) in [(600, Order::NewestFirst), (601, Order::Unordered)] {
        let mut sweep = Watch::default().sweep(seconds(7_200), at(0));
        let page = [id("web:1"), id("web:2")];
        let builds = [build("web:1").started_at(at(-3_600)), build("web:2").started_at(at(later - 3_600))];
        assert_eq!(sweep.reaches_back(&page, &builds), Next::Page);
        assert_eq!(sweep.order(), order);
    }
}

#[test]
fn a_page_reaches_back_by_the_start_of_its_last_build() {
    let page = [id("web:1"), id("web:2")];
    let builds = [build("web:1").started_at(at(-60)), build("web:2").started_at(at(-7_300))];
    let mut sweep = Watch::default().sweep(seconds(7_200), at(0));
    assert_eq!(sweep.reaches_back(&page, &builds), Next::Enough);
    assert_eq!(sweep.order(), Order::NewestFirst);
}

#[test]
fn the_first_sweep_goes_as_far_back_as_that_of_the_first_start() {
    let lookback = seconds(7_200);
    let mut watch = Watch::default();
    watch.begin(lookback, at(0));
    // Cut short, and started again hours later.
    watch.begin(lookback, at(20_000));
    assert_eq!(watch.sweep(lookback, at(20_000)).since, at(-7_200));
    assert_eq!(watch.horizon(lookback, at(20_000)), at(-7_200));
    // The clock was ahead then: it is not looked back less for that.
    watch.begin(lookback, at(-5_000));
    assert_eq!(watch.sweep(lookback, at(-5_000)).since, at(-12_200));
    let sweep = watch.sweep(lookback, at(20_000));
    watch.take_in(sweep, &[]);
    watch.begin(lookback, at(20_060));
    assert_eq!(watch.sweep(lookback, at(20_060)).since, at(19_400), "from then on, the last sweep counts");
    assert_eq!(watch.horizon(lookback, at(40_000)), at(19_400));
}

#[test]
fn a_later_sweep_goes_back_to_shortly_before_the_last_one() {
    let mut watch = Watch::default();
    let sweep = watch.sweep(seconds(86_400), at(0));
    assert!(sweep.is_unknown(&id("web:1")));
    watch.take_in(Sweep { listed: vec![id("web:1")], ..sweep }, &[id("web:1")]);
    let next = watch.sweep(seconds(86_400), at(60));
    assert_eq!(next.since, at(-600));
    assert!(!next.is_unknown(&id("web:1")) && next.is_unknown(&id("web:2")));
}

#[test]
fn the_horizon_is_the_older_of_the_look_back_and_the_last_sweep() {
    let mut watch = Watch::default();
    assert_eq!(watch.horizon(seconds(7_200), at(0)), at(-7_200));
    let sweep = watch.sweep(seconds(7_200), at(0));
    watch.take_in(sweep, &[]);
    assert_eq!(watch.horizon(seconds(7_200), at(60)), at(60 - 7_200));
    assert_eq!(watch.horizon(seconds(7_200), at(86_400)), at(-600));
}

#[test]
fn a_clock_that_was_ahead_hides_no_build() {
    let mut model = Model::new(2);
    model.now = at(86_400);
    model.starts(2);
    model.sweep(None, 0);
    model.read();
    model.now = at(0);
    model.list.iter_mut().for_each(|b| b.started = at(-60));
    model.starts(5);
    for place in 0..7 {
        model.happens(&Happening::Ends(place));
    }
    model.now = at(30);
    model.sweep(None, 0);
    model.read();
    assert_eq!(model.lost(), Vec::<&BuildId>::new());
}

#[test]
fn a_build_put_off_by_a_clock_that_was_ahead_is_read_at_once() {
    let mut watch = Watch::default();
    let old = build("web:1").running().started_at(at(0));
    watch.keep_unfinished(&old, at(86_400));
    assert_eq!(watch.due(at(100)), [id("web:1")]);
}

#[test]
fn unfinished_builds_are_read_less_often_with_age() {
    let mut watch = Watch::default();
    let young = build("web:1").running().started_at(at(0));
    watch.keep_unfinished(&young, at(1_799));
    assert_eq!(watch.due(at(1_799)), [id("web:1")]);

    watch.keep_unfinished(&young, at(1_800));
    assert_eq!(watch.due(at(1_800)), []);
    assert_eq!(watch.due(at(1_890)), [id("web:1")]);

    watch.keep_unfinished(&young, at(7_200));
    assert_eq!(watch.due(at(7_200 + 359)), []);
    assert_eq!(watch.due(at(7_200 + 360)), [id("web:1")]);
    assert_eq!(watch.next_due(), Some(at(7_200 + 360)));
}

#[test]
fn a_log_that_shows_nothing_is_read_once_more_a_minute_after_the_end() {
    let mut watch = Watch::default();
    let failed = build("web:1").ended_at(at(0));
    assert_eq!(watch.keep_for_late_lines(&failed, at(10)), LateLook::Due);
    assert_eq!(watch.due(at(59)), []);
    assert_eq!(watch.due(at(60)), [id("web:1")]);
    // By a clock that was set back meanwhile the lines may still be to come.
    assert_eq!(watch.keep_for_late_lines(&failed, at(20)), LateLook::Due);
    assert_eq!(watch.due(at(59)), []);
    assert_eq!(watch.keep_for_late_lines(&failed, at(60)), LateLook::Over);

    // By one that is an hour behind it is looked at every minute.
    let mut watch = Watch::default();
    assert_eq!(watch.keep_for_late_lines(&failed, at(-3_600)), LateLook::Due);
    assert_eq!(watch.due(at(-3_541)), []);
    assert_eq!(watch.due(at(-3_540)), [id("web:1")]);

    let mut watch = Watch::default();
    assert_eq!(watch.keep_for_late_lines(&failed, at(61)), LateLook::Over);
    assert_eq!(watch.open().count(), 0);
}

#[test]
fn a_build_is_waited_for_since_it_was_first_seen() {
    let mut watch = Watch::default();
    watch.reread(&id("web:1"), at(0));
    watch.keep_unfinished(&build("web:1").running().started_at(at(0)), at(60));
    let (_, open) = watch.open().next().unwrap();
    assert_eq!((open.since, open.waiting), (at(0), Waiting::Unfinished));
    assert_eq!(watch.since(&id("web:1")), Some(at(0)));
    watch.close(&id("web:1"));
    assert_eq!(watch.since(&id("web:1")), None);
    assert_eq!(watch.due(at(90)), []);
}

#[test]
fn what_is_remembered_stays_bounded() {
    let mut model = Model::new(100);
    model.starts(700);
    model.sweep(None, 0);
    assert_eq!(model.watch.recent.len(), REMEMBERED);
    assert_eq!(model.watch.recent[0], id("web:00700"));
}

#[test]
fn a_build_is_wanted_while_it_runs_or_if_it_ended_since() {
    let sweep = Watch::default().sweep(seconds(7_200), at(0));
    let old = build("web:1").started_at(at(-20_000));
    assert!(sweep.wants(&old.clone().running()));
    assert!(sweep.wants(&old.clone().ended_at(at(-7_200))));
    assert!(!sweep.wants(&old.clone().ended_at(at(-7_201))));
    let without_end = Build { ended: None, ..old };
    assert!(!sweep.wants(&without_end));
}

#[test]
fn builds_of_earlier_sweeps_are_still_known_when_the_newest_are_deleted() {
    let mut model = Model::new(2);
    for _ in 0..6 {
        model.starts(1);
        model.now += seconds(30);
        model.sweep(None, 0);
    }
    model.list.drain(..3);
    assert_eq!(model.sweep(None, 0), Some(1));
}
