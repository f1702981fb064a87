//! The fuzz targets of `fuzz/`, with inputs made from real ones by a fixed sequence of mutations. It needs no fuzzer, and is
//! the same on every run; docs/fuzzing.md says how to search further.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

#[path = "../fuzz/invariants.rs"]
mod invariants;

use std::panic;

/// Numbers that look random and are the same each time (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit.max(1) as u64) as usize
    }
}

/// What is put in: what readers stumble over, and secrets that no quote may hold.
const PIECES: [&[u8]; 24] = [
    b"\0",
    b"\n",
    b"\r",
    b"\r\n",
    b"\x1b[31m",
    b"\x1b[",
    b"\x1b]0;",
    b"\xff",
    b"\xc3",
    b"\xe2\x80\xae",
    b"\xef\xbb\xbf",
    b"\xc2\x9b",
    b"<br/>",
    b"\\n",
    b"\"",
    b"'",
    b": ghp_0123456789abcdefghij ",
    b"dckr_pat_0123456789",
    b"https://me:hunter2@",
    b"toomanyrequests: ",
    b"429 Too Many Requests",
    b"[Container] 2026/11/21 10:00:00.000001 Running command x '",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    b"99999999999999999999999999",
];

/// One to six changes of a seed.
fn mutated(seeds: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = seeds[numbers.below(seeds.len())].clone();
    bytes.truncate(16 * 1024);
    for _ in 0..=numbers.below(6) {
        let at = numbers.below(bytes.len() + 1);
        let end = bytes.len().min(at + numbers.below(40));
        match numbers.below(6) {
            0 => drop(bytes.splice(at..at, PIECES[numbers.below(PIECES.len())].iter().copied())),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let piece = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, piece));
            }
            3 => {
                let other = &seeds[numbers.below(seeds.len())];
                let from = numbers.below(other.len() + 1);
                let to = other.len().min(from + numbers.below(400));
                drop(bytes.splice(at..end, other[from..to].iter().copied()));
            }
            4 if at < bytes.len() => bytes[at] = numbers.below(256) as u8,
            _ => bytes.truncate(at.max(1)),
        }
    }
    bytes
}

/// Holds an invariant against this many inputs; one that breaks it is printed.
fn hold(invariant: fn(&[u8]), seeds: &[Vec<u8>], times: usize) {
    assert!(!seeds.is_empty());
    seeds.iter().for_each(|seed| invariant(seed));
    let mut numbers = Numbers(20_261_121);
    for _ in 0..times {
        let input = mutated(seeds, &mut numbers);
        let result = panic::catch_unwind(|| invariant(&input));
        assert!(result.is_ok(), "with this input: {:?}", String::from_utf8_lossy(&input));
    }
}

fn logs() -> Vec<Vec<u8>> {
    let lines = [include_str!("corpus/dev.jsonl"), include_str!("corpus/families.jsonl")];
    let records = lines.iter().flat_map(|text| text.lines()).map(|line| {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        record["log"].as_str().unwrap().as_bytes().to_vec()
    });
    records.collect()
}

#[test]
fn the_scanner_reads_any_log_in_any_pieces() {
    hold(invariants::scanner, &logs(), 100);
}

#[test]
fn any_json_becomes_builds_or_an_error_that_shows_no_value() {
    let answer = br#"{"builds": [{"id": "web:0f3a", "buildNumber": 41, "buildStatus": "FAILED", "buildComplete": true,
        "startTime": 1731999600.5, "endTime": "2024-11-19T07:05:00.000000+00:00", "phases": [
          {"phaseType": "PROVISIONING", "phaseStatus": "CLIENT_ERROR", "contexts": [{
            "statusCode": "BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE", "message": "BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE: Unable to pull customer's container image. CannotPullContainerError: toomanyrequests: You have reached your pull rate limit."}]},
          {"phaseType": "COMPLETED"}], "source": {"type": "NO_SOURCE", "buildspec": "version: 0.2"},
        "environment": {"type": "LINUX_CONTAINER", "image": "node:22",
          "environmentVariables": [{"name": "PLAIN", "value": "hunter2", "type": "PLAINTEXT"}]},
        "logs": {"groupName": "/aws/codebuild/web", "streamName": "0f3a"}}], "buildsNotFound": []}"#;
    let seeds = [answer.to_vec(), b"{}".to_vec(), b"[{\"id\": \"a:b\"}]".to_vec(), b"{\"builds\": [1]}".to_vec()];
    hold(invariants::batch_get_builds, &seeds, 5_000);
}

#[test]
fn an_image_reference_is_made_of_its_parts() {
    let references =
        ["node:22", "docker.io/library/node@sha256:00", "localhost:5000/a/b:c", "aws/codebuild/standard:7.0"];
    let seeds: Vec<Vec<u8>> = references.iter().map(|text| text.as_bytes().to_vec()).collect();
    hold(invariants::image, &seeds, 20_000);
}

#[test]
fn settings_are_taken_or_their_mistakes_named() {
    let least = b"[credential.dockerhub]\nsecret = \"dockerhub\"\n[[policy]]\nname = \"all\"\nprojects = [\"*\"]\n";
    let seeds = [least.to_vec(), include_bytes!("../config/unthrottled.toml").to_vec()];
    hold(invariants::settings, &seeds, 500);
}
