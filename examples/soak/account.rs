//! The account of a soak: hundreds of builds a minute for months, in bounded memory.
//!
//! Projects, roles, secret and logs are the simulated account's. Builds are not kept there but made of four of its own as
//! patterns, and forgotten after three hours: the calls that are about builds are answered here, all others passed on.

use anyhow::Context as _;
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use unthrottled::simulator::{Clock, Options, Simulator};

/// When the simulated time begins.
pub const START: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// How long builds are listed: longer than the daemon looks back at its first start.
const LISTED: SignedDuration = SignedDuration::from_hours(3);

const PAGE: usize = 100;

/// What the account does.
#[derive(Clone, Copy, Debug, Args)]
pub struct Fleet {
    /// Builds a minute
    #[arg(long, default_value_t = 100)]
    builds: u64,
    /// Projects, all of which pull their image from Docker Hub without a login at first
    #[arg(long, default_value_t = 200)]
    projects: u64,
    /// Projects a day that are deleted, each for a new one that has to be cured as well
    #[arg(long, default_value_t = 48)]
    replaced: u64,
    /// Of a hundred pulls without a login, how many Docker Hub refuses
    #[arg(long, default_value_t = 20)]
    throttled: u64,
    /// Of a thousand builds, how many fail at a registry that no login helps with
    #[arg(long, default_value_t = 5)]
    elsewhere: u64,
    /// Of a thousand builds, how many fail by their own tests
    #[arg(long, default_value_t = 10)]
    broken: u64,
}

/// How a build ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum End {
    Succeeds,
    Throttled,
    ThrottledElsewhere,
    Broken,
}

#[derive(Clone, Debug)]
struct Build {
    number: u64,
    project: Arc<str>,
    started: Timestamp,
    ended: Timestamp,
    end: End,
    /// The project's, as of the start.
    environment: Arc<Value>,
}

struct Account {
    fleet: Fleet,
    sim: Simulator,
    patterns: HashMap<End, Value>,
    projects: VecDeque<Arc<str>>,
    named: u64,
    replaced: u64,
    builds: VecDeque<Build>,
    started: u64,
    now: Timestamp,
    retries: VecDeque<(String, u64)>,
}

/// Serves until standard input ends. Prints its address; then reads what time it is, a line each, and answers how many
/// builds were started so far.
#[expect(clippy::print_stdout, reason = "the pipe to the process that asked for the account")]
pub async fn serve(fleet: Fleet) -> anyhow::Result<()> {
    let account = Arc::new(Mutex::new(Account::new(fleet)?));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    let served = Arc::clone(&account);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            // A connection that breaks is the daemon's, which has ended.
            tokio::spawn(answer(client, Arc::clone(&served)));
        }
    });
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = orders.next_line().await? {
        let started = held(&account).advance(Timestamp::from_second(line.trim().parse()?)?)?;
        println!("{started}");
    }
    Ok(())
}

fn held(account: &Mutex<Account>) -> std::sync::MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(mut client: TcpStream, account: Arc<Mutex<Account>>) -> anyhow::Result<()> {
    client.set_nodelay(true)?;
    let address = held(&account).sim.endpoint().trim_start_matches("http://").to_string();
    let mut behind = TcpStream::connect(address).await?;
    behind.set_nodelay(true)?;
    while let Some((call, body)) = message(&mut client).await? {
        let head = String::from_utf8_lossy(&call[..body]).to_ascii_lowercase();
        let operation = head.lines().find_map(|line| line.strip_prefix("x-amz-target: codebuild_20161006."));
        let answered = match operation {
            Some(operation) => held(&account).answer(operation.trim(), &call[body..])?,
            None => None,
        };
        let answer = match answered {
            Some(json) => {
                let json = json.to_string();
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: ";
                format!("{head}{}\r\n\r\n{json}", json.len()).into_bytes()
            }
            None => {
                behind.write_all(&call).await?;
                message(&mut behind).await?.context("the simulated account has ended")?.0
            }
        };
        client.write_all(&answer).await?;
    }
    Ok(())
}

/// One HTTP message, and where its body begins.
async fn message(stream: &mut TcpStream) -> anyhow::Result<Option<(Vec<u8>, usize)>> {
    let mut message = Vec::new();
    let end = loop {
        if let Some(end) = message.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut message).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&message[..end]).to_ascii_lowercase();
    let length: usize =
        head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or_default();
    while message.len() < end + length {
        if stream.read_buf(&mut message).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some((message, end)))
}

/// Numbers that look random and are the same in every run.
fn scattered(number: u64, what: u64) -> u64 {
    let mut z = number.wrapping_mul(4).wrapping_add(what).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Account {
    fn new(fleet: Fleet) -> anyhow::Result<Account> {
        let sim = Simulator::start(Options { clock: Clock::Manual(START), ..Options::default() })?;
        sim.account(|account| {
            account.hub().limit_anonymous(0).account("acme", "hub-pw");
            account.secret("dockerhub").login("acme", "hub-pw");
            account.throttle_ecr_public();
        });
        let patterns = patterns(&sim)?;
        sim.forget_calls();
        let mut account = Account {
            fleet,
            sim,
            patterns,
            projects: VecDeque::new(),
            named: 0,
            replaced: 0,
            builds: VecDeque::new(),
            started: 0,
            now: START,
            retries: VecDeque::new(),
        };
        for _ in 0..fleet.projects.max(1) {
            account.add_project();
        }
        Ok(account)
    }

    fn add_project(&mut self) {
        self.named += 1;
        let name = format!("service-{:06}", self.named);
        self.sim.account(|account| {
            account.project(&name).image("node:22").buildspec(SCRIPT);
        });
        self.projects.push_back(name.into());
    }

    /// Everything up to then happens. Answers how many builds were started so far.
    fn advance(&mut self, now: Timestamp) -> anyhow::Result<u64> {
        let gone = u64::try_from(now.duration_since(START).as_secs())?;
        self.sim.advance(now.duration_since(self.sim.now()).max(SignedDuration::ZERO));
        while self.replaced < gone * self.fleet.replaced / 86_400 {
            self.replaced += 1;
            if let Some(oldest) = self.projects.pop_front() {
                self.sim.delete_project(&oldest);
            }
            self.add_project();
        }
        let every = SignedDuration::from_mins(1) / i32::try_from(self.fleet.builds.max(1))?;
        let mut at = self.builds.back().map_or(START, |last| last.started) + every;
        while at <= now {
            self.now = at;
            let place = scattered(self.started, 0) % self.projects.len() as u64;
            let project = Arc::clone(&self.projects[usize::try_from(place)?]);
            self.start(&project);
            at += every;
        }
        self.now = now;
        while self.builds.front().is_some_and(|oldest| now.duration_since(oldest.started) > LISTED) {
            self.builds.pop_front();
        }
        self.retries.truncate(1_000);
        self.sim.forget_calls();
        Ok(self.started)
    }

    fn start(&mut self, project: &Arc<str>) -> u64 {
        let number = self.started;
        self.started += 1;
        let environment = self.sim.project_json(project)["environment"].take();
        let login = environment.get("registryCredential").is_some();
        let chance = scattered(number, 1) % 1_000;
        let end = if !login && scattered(number, 2) % 100 < self.fleet.throttled {
            End::Throttled
        } else if chance < self.fleet.elsewhere {
            End::ThrottledElsewhere
        } else if chance < self.fleet.elsewhere + self.fleet.broken {
            End::Broken
        } else {
            End::Succeeds
        };
        let length = i64::try_from(20 + scattered(number, 3) % 160).unwrap_or_default();
        let ended = self.now + SignedDuration::from_secs(length);
        let environment = Arc::new(environment);
        self.builds.push_back(Build {
            number,
            project: Arc::clone(project),
            started: self.now,
            ended,
            end,
            environment,
        });
        number
    }

    /// The answer to a call about builds.
    fn answer(&mut self, operation: &str, body: &[u8]) -> anyhow::Result<Option<Value>> {
        let input: Value = serde_json::from_slice(body)?;
        Ok(Some(match operation {
            "listbuilds" => self.list(&input),
            "batchgetbuilds" => {
                let ids = input["ids"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let (mut builds, mut missing) = (Vec::new(), Vec::new());
                for id in ids {
                    match self.find(id) {
                        Some(build) => builds.push(self.json(build)),
                        None => missing.push(id),
                    }
                }
                json!({"builds": builds, "buildsNotFound": missing})
            }
            "retrybuild" => {
                let token = input["idempotencyToken"].as_str().unwrap_or_default().to_string();
                let again = self.retries.iter().find(|(known, _)| *known == token).map(|(_, number)| *number);
                let project = input["id"].as_str().and_then(|id| self.find(id)).map(|build| Arc::clone(&build.project));
                let number = match (again, project) {
                    (Some(number), _) => number,
                    (None, Some(project)) => self.start(&project),
                    (None, None) => return Ok(None),
                };
                self.retries.push_front((token, number));
                let build = self.builds.iter().rev().find(|build| build.number == number);
                json!({"build": build.map(|build| self.json(build))})
            }
            _ => return Ok(None),
        }))
    }

    /// Newest first.
    fn list(&self, input: &Value) -> Value {
        let from: usize = input["nextToken"].as_str().and_then(|token| token.parse().ok()).unwrap_or_default();
        let ids: Vec<String> = self.builds.iter().rev().skip(from).take(PAGE).map(Build::id).collect();
        let next = from + ids.len();
        let mut answer = json!({"ids": ids});
        if next < self.builds.len() {
            answer["nextToken"] = json!(next.to_string());
        }
        answer
    }

    fn find(&self, id: &str) -> Option<&Build> {
        let digits: String = id.rsplit_once(':')?.1.chars().filter(char::is_ascii_digit).take(12).collect();
        let number: u64 = digits.parse().ok()?;
        let first = self.builds.front()?.number;
        let build = self.builds.get(usize::try_from(number.checked_sub(first)?).ok()?)?;
        (build.id() == id).then_some(build)
    }

    /// As BatchGetBuilds shows it now.
    fn json(&self, build: &Build) -> Value {
        let over = build.ended <= self.now;
        let mut json = self.patterns[&build.end].clone();
        let pattern = json["id"].as_str().unwrap_or_default().to_string();
        let arn = json["arn"].as_str().unwrap_or_default().replace(&pattern, &build.id());
        json["id"] = json!(build.id());
        json["arn"] = json!(arn);
        json["buildNumber"] = json!(build.number + 1);
        json["projectName"] = json!(*build.project);
        // Another registry's words go with another registry's image.
        if build.end != End::ThrottledElsewhere {
            json["environment"] = Value::clone(&build.environment);
        }
        json["serviceRole"] = json!(format!("arn:aws:iam::111122223333:role/codebuild-{}", build.project));
        json["startTime"] = json!(build.started.as_second());
        json["endTime"] = json!(build.ended.as_second());
        if !over {
            json["buildStatus"] = json!("IN_PROGRESS");
            json["buildComplete"] = json!(false);
            json["currentPhase"] = json!("PROVISIONING");
            json["phases"] = json!([]);
            if let Some(members) = json.as_object_mut() {
                members.remove("endTime");
            }
        }
        json
    }
}

impl Build {
    fn id(&self) -> String {
        // A remediation is named by the first twelve digits.
        format!("{}:{:08}-{:04}-4000-8000-000000000000", self.project, self.number / 10_000, self.number % 10_000)
    }
}

const SCRIPT: &str = "version: 0.2\nphases:\n  build:\n    commands:\n      - npm test\n";

/// A build of each kind, as the simulated account shows it.
fn patterns(sim: &Simulator) -> anyhow::Result<HashMap<End, Value>> {
    let kinds = [
        (End::Succeeds, "aws/codebuild/standard:7.0", "true"),
        (End::Throttled, "node:22", "true"),
        (End::ThrottledElsewhere, "public.ecr.aws/docker/library/node:22", "true"),
        (End::Broken, "aws/codebuild/standard:7.0", "npm test"),
    ];
    let mut patterns = HashMap::new();
    for (end, image, command) in kinds {
        let name = format!("pattern-{end:?}").to_lowercase();
        sim.account(|account| {
            let script = format!("version: 0.2\nphases:\n  build:\n    commands:\n      - {command}\n");
            account.project(&name).image(image).buildspec(&script);
            account.project(&name).command("npm test").fails(["  12 passing", "  1 failing"]);
        });
        let build = sim.run_build(&name);
        let ended_so = (build.status == "SUCCEEDED") == (end == End::Succeeds);
        anyhow::ensure!(ended_so, "{end:?} ended {}", build.status);
        patterns.insert(end, sim.build_json(&build.id));
        sim.delete_project(&name);
    }
    Ok(patterns)
}
