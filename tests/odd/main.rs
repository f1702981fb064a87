//! What is odd, broken, gone or edited by others: a reason, no write, and the other projects go on.

#![expect(clippy::expect_used, reason = "a test stops at what it did not expect")]

#[path = "../support/mod.rs"]
mod support;

mod builds;
mod faults;
mod limits;
mod people;
mod resources;
mod secrets;

use jiff::SignedDuration;
use support::world::World;

/// A project like any other, whose build image was refused: whatever is odd beside it, it has to be cured.
fn sound(world: &World) {
    world.image_project("sound", "node:22");
    world.sim.run_build("sound");
}

/// Plays until the sound project is cured, for ten minutes at the most; the rest may stay odd.
async fn play(world: &World) -> String {
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(10)).await;
    let stages = world.stages().await;
    assert!(stages.contains(&"sound: verified".to_string()), "the sound project was not cured: {stages:?}");
    let told = world.told();
    world.assert_told_once(&daemon, &told).await;
    let odd: Vec<_> =
        told.into_iter().filter(|e| e.project_name.as_ref().is_none_or(|name| name.as_str() != "sound")).collect();
    world.lines(&odd)
}

/// Fails if anything but the sound project and its role was written.
fn assert_only_sound_was_written(world: &World) {
    let writes = world.writes();
    let others: Vec<&String> = writes.iter().filter(|write| !write.contains("sound")).collect();
    assert!(others.is_empty(), "{others:?}");
}
