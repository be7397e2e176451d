//! Plans as files: what is accepted, and what is refused.

use local_s3::FaultPlan;
use tempfile::TempDir;

use crate::process::{Program, command, fails};
use crate::support::{BUCKET, SECRET_KEY, client, refusal};

/// Every kind and every field at least once.
const EVERY_KIND: &str = r#"{
  "seed": 7,
  "faults": [
    {"kind": {"latency": {"at_least": "1ms", "at_most": "20ms", "moment": "after"}}, "probability": 0.5},
    {"operation": "any", "kind": {"stall": {"at_most": "30s"}}, "skip": 100},
    {"operation": "PutObject", "key": {"prefix": "checkpoints/"}, "limit": 3,
     "kind": {"error": {"answer": "slow_down", "moment": "before"}}},
    {"key": {"contains": "/plans/"}, "kind": {"error": {"answer": "too_many_requests"}}, "skip": 100},
    {"key": {"exact": "a"}, "kind": {"error": {"answer": "internal_error", "moment": "after"}}, "skip": 100},
    {"kind": {"reset": {"moment": "after"}}, "skip": 100},
    {"kind": "conflict"},
    {"kind": {"cut_body": {"keep": 10, "length": "true"}}},
    {"kind": {"cut_body": {"length": "lying"}}},
    {"kind": {"key_doubled": {"listed": "a", "on": "same_page"}}},
    {"kind": {"key_doubled": {"on": "next_page"}}},
    {"kind": {"key_missing": {}}},
    {"kind": {"overwritten": {"with": "[]"}}},
    {"kind": {"overwritten": {}}},
    {"kind": "deleted"},
    {"kind": "condition_ignored"},
    {"kind": "delete_condition_ignored"},
    {"kind": "completion_failed"}
  ]
}"#;

#[test]
fn a_plan_reads_back_as_it_is_written() {
    let plan = FaultPlan::from_json(EVERY_KIND).unwrap();
    assert_eq!(plan.faults.len(), 18);
    assert_eq!(FaultPlan::from_json(&plan.to_json()), Ok(plan));
    assert_eq!(FaultPlan::from_json("{}"), Ok(FaultPlan::default()));
}

#[tokio::test]
async fn the_program_injects_the_faults_of_its_file() {
    let root = TempDir::new().unwrap();
    let file = root.path().join("faults.json");
    std::fs::write(&file, EVERY_KIND).unwrap();
    let program = Program::start_with(&root.path().join("s3"), &["--faults", file.to_str().unwrap()]);
    let s3 = client(&program.endpoint, SECRET_KEY);
    let put = |key: &str| s3.put_object().bucket(BUCKET).key(key).send();
    put("raw/a").await.unwrap();
    for _ in 0..3 {
        assert_eq!(refusal(put("checkpoints/a").await), (503, "SlowDown".to_owned()));
    }
    put("checkpoints/a").await.unwrap();
}

#[test]
fn a_plan_with_mistakes_is_refused_with_exit_code_2_and_each_is_reported() {
    const MISTAKES: &str = r#"{
      "seed": -1,
      "sead": 1,
      "faults": [
        {"operation": "PutObjekt", "kind": "conflict", "probability": 1.5},
        {"operation": "PutObject", "kind": {"cut_body": {"keep": 1}}, "limit": 0},
        {"operation": "nope", "probability": -1, "chance": 1},
        {"kind": "explosion", "skip": "often"},
        {"kind": {"latency": {"at_least": "soon"}}},
        {"kind": {"latency": {"at_least": "2s", "at_most": "1s"}}},
        {"kind": {"stall": {"at_most": "2h"}}},
        {"kind": {"reset": {"when": "after"}}, "key": {"suffix": ".json"}},
        "a reset, please"
      ]
    }"#;
    const EACH: [&str; 17] = [
        "plan.seed: ",
        "plan.sead is not known",
        "faults[0].operation \"PutObjekt\" is not known",
        "faults[0].probability is 1.5",
        "faults[1]: cut_body does not apply to PutObject, only to GetObject",
        "faults[1].limit is 0",
        "faults[2].kind is missing",
        "faults[2].operation \"nope\"",
        "faults[2].probability is -1",
        "faults[2].chance is not known",
        "faults[3].kind: unknown variant `explosion`",
        "faults[3].skip: ",
        "faults[4].kind: \"soon\" is not a duration",
        "faults[5].kind.latency.at_most is shorter than at_least",
        "faults[6].kind.stall is longer than 1h",
        "faults[7].kind: unknown field `when`",
        "faults[8] is not an object",
    ];
    let root = TempDir::new().unwrap();
    let file = root.path().join("faults.json");
    let refused = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let mut command = command(root.path());
        command.args(["--port", "0", "--host", "nowhere", "--faults"]).arg(&file);
        let (code, message) = fails(&mut command);
        assert_eq!(code, Some(2), "{message}");
        assert!(message.contains("error: --host nowhere"), "{message}");
        message
    };
    let message = refused(MISTAKES);
    for mistake in EACH.into_iter().chain(["faults[7].key: unknown variant `suffix`"]) {
        assert!(message.contains(&format!("faults.json: {mistake}")), "{mistake}\n{message}");
    }
    assert!(refused("{").contains("faults.json: it is not JSON"));
    assert!(refused("[]").contains("faults.json: plan is not an object"));
    std::fs::remove_file(&file).unwrap();
    let (code, message) = fails(command(root.path()).args(["--port", "0", "--faults"]).arg(&file));
    assert!(code == Some(2) && message.contains("faults.json: cannot be read"), "{message}");
}
