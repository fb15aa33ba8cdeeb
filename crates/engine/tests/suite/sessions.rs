//! Sessions of agents whose files refer to one another.

use std::fs;

use retort_engine::Input;
use serde_json::{Value, json};

use crate::support::{Bench, records, run};

fn history(question: &str, answer: &str) -> Value {
    let message = |role: &str, text: &str| json!({"role": role, "content": [{"type": "text", "text": text}], "is_template": false});
    json!({"messages": [message("user", question), message("assistant", answer)]})
}

/// `session.json` names each agent's history; the copy of an earlier state counts only if that says something else.
#[test]
fn the_file_of_a_session_tells_of_each_of_its_agents() {
    let bench = Bench::new();
    let folder = bench.path("sessions/260314-x");
    fs::create_dir_all(&folder).unwrap();
    let agents = json!({
        "dev": {"history_file": "history_dev.json", "model": "m1", "resolved_prompt": "Be brief."},
        "ops": {"history_file": "history_ops.json", "model": "m2"}});
    let session = json!({"schema_version": 4, "session_id": "260314-x", "created_at": "2026-03-14T23:05:30Z",
        "last_activity": "2026-03-14T23:06:00Z", "metadata": {"title": "Weather"},
        "continuation": {"active_agent": "dev", "agents": agents}});
    let files = [
        ("session.json", session),
        ("history_dev.json", history("Rain?", "No.")),
        (
            "history_dev_previous.json",
            json!({"messages": [history("Rain?", "No.")["messages"][0]]}),
        ),
        ("history_ops_previous.json", history("Down?", "No.")),
        ("history_ops.json", history("Up?", "Yes.")),
    ];
    for (name, value) in files {
        fs::write(folder.join(name), value.to_string()).unwrap();
    }
    for input in ["sessions", "sessions/260314-x"] {
        let mut plan =
            bench.plan(vec![Input::Path(bench.path(input))], &[("data_format", "retort")]);
        plan.output = bench.path(&format!("out-{}", input.replace('/', "-")));
        let (report, rejects) = run(&plan);
        assert_eq!(report.unwrap().found.account.written, 3, "{rejects:?}");
        let told = |line: &Value| {
            let round = &line["rounds"][0]["messages"];
            format!(
                "{} {} {} {} {}",
                line["id"], line["title"], line["model"], round[0]["role"], line["created_at"]
            )
        };
        let mut told: Vec<_> = records(&plan).iter().map(told).collect();
        told.sort();
        assert_eq!(
            told,
            [
                r#""260314-x/dev" "Weather" "m1" "system" "2026-03-14T23:05:30Z""#,
                r#""260314-x/ops" "Weather" "m2" "user" "2026-03-14T23:05:30Z""#,
                r#""260314-x/ops#previous" "Weather" "m2" "user" "2026-03-14T23:05:30Z""#,
            ],
            "{input}"
        );
    }
}
