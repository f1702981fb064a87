//! How long a remedy stays out that deployments set back.

use super::*;
use rstest::rstest;

#[rstest]
#[case(1, SignedDuration::from_mins(10))]
#[case(2, SignedDuration::from_mins(20))]
#[case(3, SignedDuration::from_mins(40))]
#[case(8, SignedDuration::from_mins(1280))]
#[case(9, LONGEST_PAUSE)]
#[case(10_000, LONGEST_PAUSE)]
fn each_pause_is_twice_the_one_before(#[case] times: usize, #[case] expected: SignedDuration) {
    assert_eq!(pause(times), expected);
}
