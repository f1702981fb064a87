//! An ordinary build log of any size, the same on every machine: what CodeBuild's agent, docker, npm, Maven, pip, Go, git
//! and test runners print, in the mix of a long build. Words that a careless search would stop at (`429`, `rate`, `limit`,
//! `pull`, `too many`) stand in it about as often as in real logs.

use std::io::{self, Write};

/// What repeats: the whole log is this many different bytes, then numbers and names go on changing.
const BLOCK: usize = 64 * 1024;

/// Writes a log of at least `size` bytes with `hits` refused pulls spread evenly over it.
pub fn write(out: &mut impl Write, size: u64, hits: u64) -> io::Result<u64> {
    let mut log = Log::new(0x2026_1121);
    let (mut written, mut refused) = (0, 0);
    log.text.push_str("[Container] 2026/11/21 10:00:00.000001 Entering phase BUILD\n");
    while written < size {
        while log.text.len() < BLOCK {
            log.step();
            let due = (written + log.text.len() as u64).saturating_mul(hits) / size;
            if refused < due.min(hits) {
                log.refusal();
                refused += 1;
            }
        }
        out.write_all(log.text.as_bytes())?;
        written += log.text.len() as u64;
        log.text.clear();
    }
    while refused < hits {
        log.refusal();
        refused += 1;
    }
    out.write_all(log.text.as_bytes())?;
    Ok(written + log.text.len() as u64)
}

/// Writes one line of this size, with a refusal near its end.
pub fn write_one_line(out: &mut impl Write, size: u64) -> io::Result<u64> {
    let block = Log::new(1).base64(BLOCK);
    for _ in 0..size / BLOCK as u64 {
        out.write_all(block.as_bytes())?;
    }
    let end = ": Error response from daemon: toomanyrequests: You have reached your pull rate limit. You may increase the \
               limit by authenticating and upgrading: https://www.docker.com/increase-rate-limit ";
    out.write_all(end.as_bytes())?;
    Ok(size / BLOCK as u64 * BLOCK as u64 + end.len() as u64)
}

/// The log as it grows, with a generator of numbers that needs no crate (splitmix64).
struct Log {
    text: String,
    state: u64,
    seconds: u64,
    step: u64,
}

const PACKAGES: [&str; 24] = [
    "react-dom",
    "@babel/core",
    "lodash",
    "webpack",
    "typescript",
    "eslint-plugin-import",
    "spring-boot-starter-web",
    "jackson-databind",
    "hibernate-core",
    "rate-limiter-flexible",
    "express-rate-limit",
    "p-limit",
    "pull-stream",
    "requests",
    "urllib3",
    "numpy",
    "golang.org/x/net",
    "github.com/aws/aws-sdk-go-v2",
    "commons-lang3",
    "guava",
    "left-pad",
    "many-keys-map",
    "regenerator-runtime",
    "unauthorized-error",
];

const WORDS: [&str; 32] = [
    "compiling",
    "module",
    "request",
    "requests",
    "response",
    "pull",
    "limit",
    "rate",
    "retry",
    "entry",
    "too",
    "cache",
    "layer",
    "registry",
    "service",
    "handler",
    "container",
    "index",
    "config",
    "error",
    "warning",
    "worker",
    "queue",
    "timeout",
    "connection",
    "stream",
    "yours",
    "status",
    "token",
    "manifest",
    "image",
    "authentication",
];

impl Log {
    fn new(seed: u64) -> Log {
        Log { text: String::with_capacity(2 * BLOCK), state: seed, seconds: 36_000, step: 1 }
    }

    fn number(&mut self, below: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        let index = self.number(from.len() as u64) as usize;
        from.get(index).copied().unwrap_or_default()
    }

    fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from_digit(self.number(16) as u32, 16).unwrap_or('0')).collect()
    }

    fn base64(&mut self, length: usize) -> String {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        (0..length).map(|_| DIGITS.get(self.number(64) as usize).map_or('A', |byte| *byte as char)).collect()
    }

    fn words(&mut self, count: u64) -> String {
        (0..count).map(|_| self.pick(&WORDS)).collect::<Vec<_>>().join(" ")
    }

    fn version(&mut self) -> String {
        format!("{}.{}.{}", self.number(30), self.number(50), self.number(20))
    }

    fn stamp(&mut self) -> String {
        let (h, m, s) = (self.seconds / 3600 % 24, self.seconds / 60 % 60, self.seconds % 60);
        format!("[Container] 2026/11/21 {h:02}:{m:02}:{s:02}.{:06}", self.number(1_000_000))
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Some lines of one tool.
    fn step(&mut self) {
        self.seconds += 1;
        match self.number(100) {
            // A build runs some tens of commands, however much they print.
            0 if self.number(500) == 0 => self.agent(),
            0..22 => self.buildkit(),
            22..40 => self.npm(),
            40..60 => self.maven(),
            60..68 => self.pip(),
            68..76 => self.go(),
            76..88 => self.tests(),
            88 => self.pulled(),
            89..98 => self.server(),
            _ => self.embedded(),
        }
    }

    fn agent(&mut self) {
        let stamp = self.stamp();
        let command = match self.number(4) {
            0 => "npm ci".to_string(),
            1 => format!("docker build -t app:{} .", self.hex(8)),
            2 => "mvn --batch-mode verify".to_string(),
            _ => format!("aws s3 cp dist s3://artifacts-{}/ --recursive", self.hex(6)),
        };
        self.line(&format!("{stamp} Running command {command}"));
    }

    fn buildkit(&mut self) {
        self.step += 1;
        let step = self.step % 40;
        let digest = self.hex(64);
        let (done, all) = (self.number(500), 500 + self.number(500));
        self.line(&format!("#{step} [build {}/9] RUN npm run build --workspace {}", step % 9, self.step));
        for second in 0..4 + self.number(6) {
            let (package, words) = (self.pick(&PACKAGES), self.words(6));
            self.line(&format!("#{step} {second}.{:03} > {package}: {words}", self.step % 1000));
        }
        self.line(&format!("#{step} sha256:{digest} {done}.{}MB / {all}.42MB 4.2s", self.step % 100));
        self.line(&format!("#{step} extracting sha256:{digest} 1.2s done"));
        self.line(&format!("#{step} DONE {}.4s", self.step % 90));
    }

    fn npm(&mut self) {
        for _ in 0..6 {
            let (package, version, words) = (self.pick(&PACKAGES), self.version(), self.words(9));
            match self.number(4) {
                0 => self.line(&format!("npm \u{1b}[33mwarn\u{1b}[39m deprecated {package}@{version}: {words}")),
                1 => self.line(&format!("npm http fetch GET 200 https://registry.npmjs.org/{package} {}ms", self.step % 900)),
                2 => self.line(&format!("\u{1b}[32m\u{1b}[1masset\u{1b}[22m\u{1b}[39m {package}.js \u{1b}[1m429 KiB\u{1b}[22m [emitted] ({words})")),
                _ => self.line(&format!("  {package}@{version} {words}")),
            }
        }
        let count = self.number(2000);
        self.line(&format!("added {count} packages, and audited {} packages in 42s", count + 1));
    }

    fn maven(&mut self) {
        for _ in 0..5 {
            let (package, version, kilobytes) = (self.pick(&PACKAGES), self.version(), self.number(900));
            let url =
                format!("https://repo.maven.apache.org/maven2/org/example/{package}/{version}/{package}-{version}.jar");
            self.line(&format!("[INFO] Downloading from central: {url}"));
            self.line(&format!("[INFO] Downloaded from central: {url} ({kilobytes} kB at 4.2 MB/s)"));
        }
        let words = self.words(10);
        self.line(&format!("[\u{1b}[1;33mWARNING\u{1b}[m] {words}"));
        let tests = self.number(90);
        self.line(&format!("[INFO] Tests run: {tests}, Failures: 0, Errors: 0, Skipped: 0, Time elapsed: 0.429 s"));
    }

    fn pip(&mut self) {
        for _ in 0..4 {
            let (package, version) = (self.pick(&PACKAGES), self.version());
            self.line(&format!("Collecting {package}=={version} (from -r requirements.txt (line {}))", self.step % 90));
            self.line(&format!("  Downloading {package}-{version}-py3-none-any.whl.metadata (4.2 kB)"));
            self.line(&format!("     \u{1b}[90m━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━\u{1b}[0m \u{1b}[32m{}.1/42.9 MB\u{1b}[0m \u{1b}[31m81.2 MB/s\u{1b}[0m", self.step % 43));
        }
    }

    fn go(&mut self) {
        for _ in 0..8 {
            let (package, version) = (self.pick(&PACKAGES), self.version());
            self.line(&format!("go: downloading {package} v{version}"));
        }
        let words = self.words(3).replace(' ', "/");
        self.line(&format!(
            "ok  \texample.com/shop/{words}\t0.{:03}s\tcoverage: 81.4% of statements",
            self.step % 1000
        ));
    }

    fn tests(&mut self) {
        for _ in 0..8 {
            let (words, milliseconds) = (self.words(7), self.number(500));
            match self.number(2_000) {
                0..20 => self.line(&format!(
                    "  \u{1b}[32m✓\u{1b}[39m answers 429 when the rate limit of a client is reached ({milliseconds} ms)"
                )),
                20..40 => {
                    self.line(&format!("    at RateLimiter.take (/codebuild/output/src/limit.js:{milliseconds}:17)"))
                }
                40 => self.line(&format!("WARN  too many open handles: {words}")),
                41 => self.line(&format!("    \u{1b}[33mTypeError\u{1b}[39m: unexpected status of response: {words}")),
                42 => {
                    self.line(&format!("  \u{1b}[32m✓\u{1b}[39m sends Too Many Requests after {milliseconds} requests"))
                }
                _ => self.line(&format!("  \u{1b}[32m✓\u{1b}[39m {words} ({milliseconds} ms)")),
            }
        }
    }

    /// A pull that goes well, of an image that is never refused.
    fn pulled(&mut self) {
        let (package, digest) = (self.pick(&["node", "redis", "postgres", "alpine"]), self.hex(64));
        self.line(&format!("24.04: Pulling from library/{package}"));
        for _ in 0..6 {
            let layer = self.hex(12);
            self.line(&format!("{layer}: Pulling fs layer"));
            self.line(&format!("{layer}: Download complete"));
            self.line(&format!("{layer}: Pull complete"));
        }
        self.line(&format!("Digest: sha256:{digest}"));
        self.line(&format!("Status: Downloaded newer image for {package}:24.04"));
    }

    fn server(&mut self) {
        for _ in 0..8 {
            let (id, words) = (self.hex(32), self.words(5));
            let status = ["200", "200", "200", "201", "204", "304", "404", "429"]
                .get(self.number(8) as usize)
                .copied()
                .unwrap_or("200");
            let milliseconds = self.number(900);
            self.line(&format!(
                "{{\"level\":\"info\",\"time\":\"2026-11-21T10:00:00.{milliseconds:03}Z\",\"request_id\":\"{id}\",\"status\":{status},\"msg\":\"{words}\"}}"
            ));
        }
    }

    /// A certificate, a source map, or a bundle in one long line.
    fn embedded(&mut self) {
        let length = 1_000 + self.number(7_000) as usize;
        let text = self.base64(length);
        self.line(&format!("//# sourceMappingURL=data:application/json;base64,{text}"));
    }

    /// One refused pull as one of the clients prints it.
    fn refusal(&mut self) {
        const HUB: &str = "toomanyrequests: You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit";
        // A manifest has one digest.
        const IMAGES: [(&str, &str); 5] = [
            ("node:22", "7f3e"),
            ("redis:7", "a10c"),
            ("postgres:16-alpine", "04bd"),
            ("python:3.13-slim", "e5f2"),
            ("golang:1.25", "91aa"),
        ];
        let index = self.number(IMAGES.len() as u64) as usize;
        let (package, digest) = IMAGES.get(index).copied().unwrap_or_default();
        let digest = digest.repeat(16);
        let kind = if self.number(500) == 0 { 4 } else { self.number(4) };
        match kind {
            0 => self.line(&format!("Error response from daemon: {HUB}")),
            1 => {
                self.line(&format!("Step 1/9 : FROM {package}"));
                self.line(HUB);
            }
            2 => {
                self.line(&format!("#2 [internal] load metadata for docker.io/library/{package}"));
                self.line(&format!("#2 ERROR: failed to copy: httpReadSeeker: failed open: unexpected status code https://registry-1.docker.io/v2/library/node/manifests/sha256:{digest}: 429 Too Many Requests - Server message: {HUB}"));
            }
            3 => self.line("\u{1b}[31mtoomanyrequests\u{1b}[0m: You have reached your pull rate limit. You may increase the limit by authenticating and upgrading: https://www.docker.com/increase-rate-limit"),
            _ => {
                let stamp = self.stamp();
                self.line(&format!("{stamp} Running command docker pull {package}"));
                self.line(&format!("Error response from daemon: {HUB}"));
                let stamp = self.stamp();
                self.line(&format!("{stamp} Command did not exit successfully docker pull {package} exit status 1"));
            }
        }
    }
}
