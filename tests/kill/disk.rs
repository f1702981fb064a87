//! Disks that are full, take no more writes, or may only be read: it is told, nothing is changed that is not recorded,
//! and once there is room the work goes on.
//!
//! The small disks are in memory, mounted in a namespace of the program's own, for which nobody has to be root.

use super::{Running, Stage};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use unthrottled::domain::history::Fact;
use unthrottled::domain::remediation::Entry;
use unthrottled::edge::ledger::Ledger;
use unthrottled::simulator::Moment;

/// Where the ledger is, below the stage's folder.
const LEDGER: &str = "disk/l.ledger";

/// Whether this machine lets a process mount something for itself; some containers do not.
#[expect(clippy::print_stderr, reason = "whoever reads the test's output should know")]
fn may_mount() -> bool {
    let may = Command::new("unshare").args(["--map-root-user", "--mount", "true"]).output();
    let may = may.is_ok_and(|done| done.status.success());
    if !may {
        eprintln!("not played: `unshare --map-root-user --mount` is not allowed here");
    }
    may
}

fn stage() -> Stage {
    let stage = Stage::with_ledger(LEDGER);
    std::fs::create_dir(stage.folder.path().join("disk")).expect("a folder");
    stage
}

/// The program with a disk of its own of so many kilobytes, prepared by a line of shell.
fn on_a_disk(stage: &Stage, kilobytes: u32, prepare: &str, arguments: &[&str]) -> Command {
    let disk = stage.folder.path().join("disk");
    let script = format!("mount -t tmpfs -o size={kilobytes}k none '{}' && {prepare} exec \"$@\"", disk.display());
    let plain = stage.command(arguments);
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", &script, "sh"]);
    take_over(&plain, &mut command);
    command
}

/// The program with a size that none of its files may exceed, which it is only told when it writes.
fn with_a_limit(stage: &Stage) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]);
    take_over(&stage.command(&["run", "--log-format", "json"]), &mut command);
    command
}

/// Lets a command start another one, where and as that one would be.
fn take_over(plain: &Command, command: &mut Command) {
    command.arg(plain.get_program()).args(plain.get_args());
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(plain.get_current_dir().expect("a folder"));
}

/// The program at work, and what it has said so far. A pipe, as a file would be under its limit as well.
struct Heard {
    running: Running,
    said: Arc<Mutex<String>>,
}

impl Heard {
    fn start(mut command: Command) -> Heard {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let said = Arc::new(Mutex::new(String::new()));
        let hears = Arc::clone(&said);
        // Ends with the program.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                hears.lock().expect("no panic").push_str(&format!("{line}\n"));
            }
        });
        Heard { running: Running(child), said }
    }

    fn has_said(&self, words: &str) -> bool {
        self.said.lock().expect("no panic").contains(words)
    }

    fn id(&self) -> u32 {
        self.running.0.id()
    }

    /// A path as the program sees it.
    fn path(&self, path: &Path) -> PathBuf {
        let below = path.strip_prefix("/").expect("an absolute path");
        Path::new("/proc").join(self.id().to_string()).join("root").join(below)
    }
}

/// The ledger as a kill at this moment would leave it, out of the program's namespace.
fn copied(stage: &Stage, program: &Heard) -> PathBuf {
    let copy = stage.folder.path().join("copied.ledger");
    program.running.signal("STOP");
    std::fs::copy(program.path(&stage.ledger()), &copy).expect("a copy");
    let journal = program.path(&stage.ledger().with_extension("ledger-journal"));
    if journal.exists() {
        std::fs::copy(journal, copy.with_extension("ledger-journal")).expect("a copy");
    }
    program.running.signal("CONT");
    copy
}

/// Plays from the first call, at which the disk takes no more, over the complaint, to the cure.
async fn refused_and_then_let_on(
    stage: &Stage,
    program: Heard,
    refuse: impl Fn(&Heard),
    allow: impl Fn(&Heard),
    complaint: &str,
) {
    tokio::time::timeout(super::PATIENCE, stage.sim.held()).await.expect("the first call");
    refuse(&program);
    stage.sim.release();
    stage.wait_for(complaint, |_| program.has_said(complaint)).await;
    stage.look_twice().await;
    assert_eq!(stage.sim.writes().len(), 0, "nothing may be changed that is not recorded");
    assert!(program.has_said("nothing is changed that is not recorded"));

    allow(&program);
    stage.wait_for("the cure", Stage::is_cured).await;
    stage.look_twice().await;
    for operation in ["PutRolePolicy", "UpdateProject"] {
        let done = stage.sim.writes().iter().filter(|call| call.operation == operation).count();
        assert_eq!(done, 2, "{operation}");
    }
    let ledger = Ledger::open_existing(&copied(stage, &program)).await.expect("a ledger").expect("a ledger");
    let records = ledger.load().await.expect("a whole ledger");
    let count = |is: fn(&Fact) -> bool| records.iter().filter(|record| is(&record.fact)).count();
    assert_eq!(count(|fact| matches!(fact, Fact::Detected(_))), 2);
    assert_eq!(count(|fact| matches!(fact, Fact::Remediation { entry: Entry::Planned(_), .. })), 2);
    assert!(program.running.stop("TERM").await.success());
}

#[tokio::test]
async fn a_disk_that_fills_up_is_told_and_once_there_is_room_the_work_goes_on() {
    if !may_mount() {
        return;
    }
    let stage = stage();
    stage.sim.hold_call(1, Moment::BeforeEffect);
    let program = Heard::start(on_a_disk(&stage, 256, "", &["run", "--log-format", "json"]));
    let filler = stage.folder.path().join("disk/filler");
    let fill = |program: &Heard| {
        let mut file = std::fs::File::create(program.path(&filler)).expect("a file");
        while file.write_all(&[0; 512]).is_ok() {}
    };
    let clear = |program: &Heard| std::fs::remove_file(program.path(&filler)).expect("a file");
    refused_and_then_let_on(&stage, program, fill, clear, "no space is left for ledger").await;
}

/// A quota, a limit or a disk that fails: SQLite has one word for them.
#[tokio::test]
async fn a_disk_that_takes_no_more_writes_is_told_and_once_it_does_the_work_goes_on() {
    let stage = stage();
    stage.sim.hold_call(1, Moment::BeforeEffect);
    let program = Heard::start(with_a_limit(&stage));
    let limit = |program: &Heard, bytes: &str| {
        let arguments = ["--pid", &program.id().to_string(), &format!("--fsize={bytes}:")];
        assert!(Command::new("prlimit").args(arguments).status().expect("prlimit").success());
    };
    let (refuse, allow) = (|it: &Heard| limit(it, "4096"), |it: &Heard| limit(it, "unlimited"));
    refused_and_then_let_on(&stage, program, refuse, allow, "did not take a write to ledger").await;
}

#[test]
fn a_disk_that_is_full_or_can_only_be_read_starts_nothing_and_shows_what_is_on_it() {
    if !may_mount() {
        return;
    }
    let stage = stage();
    let kept = stage.folder.path().join("kept.ledger");
    let made = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    drop(made.block_on(Ledger::open(&kept)).expect("a ledger"));
    let bring = format!("cp '{}' '{}' &&", kept.display(), stage.ledger().display());
    let read_only = format!("mount -o remount,ro '{}' &&", stage.folder.path().join("disk").display());
    let fill =
        format!("{{ head -c 1000000 /dev/zero >'{}' 2>&-; true; }} &&", stage.folder.path().join("disk/x").display());
    for (prepare, told) in [
        (read_only.clone(), "Read-only file system"),
        (format!("{bring} {read_only}"), "Read-only file system"),
        (fill.clone(), "No space left"),
    ] {
        let output = on_a_disk(&stage, 256, &prepare, &["run"]).output().expect("the program runs");
        let problem = text(&output);
        assert_eq!(output.status.code(), Some(69), "{prepare} {problem}");
        assert!(problem.contains(told) && problem.contains("l.ledger"), "{prepare} {problem}");
    }
    for prepare in [format!("{bring} {read_only}"), format!("{bring} {fill}")] {
        let output = on_a_disk(&stage, 256, &prepare, &["status"]).output().expect("the program runs");
        assert_eq!(output.status.code(), Some(0), "{prepare} {}", text(&output));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "No remediation is open.\n");
    }
    assert_eq!(stage.sim.calls().len(), 0);
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).to_string()
}
