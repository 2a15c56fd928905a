//! The engine of a node is one line of its program, and every engine makes the same node go.

use std::time::Duration;

use klay_node::driver::EngineKind;
use tokio::time::timeout;

#[path = "../../examples/swap_engine.rs"]
mod example;

#[tokio::test(flavor = "multi_thread")]
async fn four_validators_decide_with_each_engine() {
    for engine in EngineKind::ALL.into_iter().filter(|engine| *engine != EngineKind::Dev) {
        let decided = timeout(Duration::from_secs(60), example::decide(engine, 3)).await.unwrap().unwrap();
        assert_eq!(decided.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2, 3], "{}", engine.name());
    }
}

#[test]
fn one_line_names_the_engine() {
    let program = include_str!("../../examples/swap_engine.rs");
    let lines: Vec<_> = program.lines().filter(|line| line.contains("EngineKind::")).collect();
    assert_eq!(lines, ["const ENGINE: EngineKind = EngineKind::Justified;"]);
}
