//! Results of tau2-bench.

use retort_formats::import::{Notes, Sniff, recognise};
use retort_model::Conversation;
use serde_json::{Value, json};

use crate::support::told;

/// Results with a simulation in which the user has a tool, too.
fn results() -> Value {
    let call = |id: &str, name: &str, who: &str| json!([{"id": id, "name": name, "arguments": {"order": 7}, "requestor": who}]);
    let messages = json!([
        {"role": "assistant", "content": "Hi! How can I help?", "tool_calls": null, "turn_idx": 0, "timestamp": "2025-06-01T10:00:00", "cost": 0.0, "usage": null, "raw_data": null},
        {"role": "user", "content": "Where is my order?", "tool_calls": null, "turn_idx": 1, "cost": 0.1, "usage": {"prompt_tokens": 900, "completion_tokens": 9}, "raw_data": {"message": {"content": "Where is my order?"}}},
        {"role": "assistant", "content": null, "tool_calls": [call("k", "find", "assistant")[0], call("l", "track", "assistant")[0]], "turn_idx": 2, "usage": {"prompt_tokens": 50, "completion_tokens": 5}, "raw_data": {"choices": []}},
        {"role": "tool", "tool_messages": [
            {"id": "k", "role": "tool", "content": "sent", "requestor": "assistant", "error": false},
            {"id": "l", "role": "tool", "content": "Error: no such order", "requestor": "assistant", "error": true}]},
        {"role": "user", "content": null, "tool_calls": call("u", "look_outside", "user")},
        {"id": "u", "role": "tool", "content": "a parcel", "requestor": "user", "error": false},
        {"role": "assistant", "content": "It was sent.", "tool_calls": null}
    ]);
    json!({"timestamp": "2025-06-01T10:00:00", "info": {"git_commit": "x", "num_trials": 1, "max_steps": 100, "max_errors": 10,
            "user_info": {"implementation": "user_simulator", "llm": "u"}, "agent_info": {"implementation": "llm_agent", "llm": "m"},
            "environment_info": {"domain_name": "shop", "policy": "Be kind.", "tool_defs": null}},
        "tasks": [{"id": "0", "user_scenario": {"instructions": "Ask for order 7."}}, {"id": "1"}],
        "simulations": [{"id": "s-1", "task_id": "0", "timestamp": "2025-06-01T10:00:00", "start_time": "2025-06-01T10:00:00",
            "end_time": "2025-06-01T10:01:00", "duration": 60.0, "termination_reason": "user_stop", "agent_cost": 0.1,
            "reward_info": {"reward": 1.0, "nl_assertions": [{"nl_assertion": "The agent finds it", "met": true}]},
            "messages": messages, "trial": 0, "seed": 1}]})
}

fn read(item: &Value) -> Vec<Conversation<'static>> {
    let text = item.to_string();
    let format = recognise(&Sniff::of(&text)).unwrap();
    assert_eq!(format.name(), "tau2");
    let items = format.read_all(&text, &mut Notes::default()).unwrap().into_iter();
    items.map(|item| item.into_conversation().unwrap().into_owned()).collect()
}

fn unplaced(conversation: &Conversation<'_>) -> Vec<String> {
    conversation.not_understood.iter().map(|one| one.path.to_string()).collect()
}

#[test]
fn a_simulation_is_what_the_agent_saw() {
    let all = read(&results());
    let [one] = all.as_slice() else { panic!("{} conversations", all.len()) };
    assert_eq!(
        told(&one.rounds).join(" "),
        "system=Be kind. assistant=Hi! How can I help? user=Where is my order? assistant=!k:find:{\"order\":7}!l:track:{\"order\":7} \
         tool=sent(k) tool=Error: no such order(l)~failed assistant=It was sent."
    );
    assert_eq!((unplaced(one), &*one.id.decoded()), (vec![], "s-1"));
    assert_eq!(one.model.as_ref().unwrap().decoded(), "m");
    let kept = |name: &str| one.metadata.get(name).unwrap().as_str();
    assert!(kept("user_tools").contains("look_outside") && kept("user_tools").contains("a parcel"));
    assert!(
        kept("task").contains("Ask for order 7.")
            && kept("reward_info").contains("The agent finds it")
    );
}

#[test]
fn what_is_odd_in_a_simulation_is_told_and_others_are_not_taken_for_one() {
    let mut odd = results();
    odd["simulations"][0]["messages"][1]["gesture"] = json!("points at the door");
    odd["simulations"][0]["messages"][6] = json!("lost");
    odd["simulations"][0]["verdict"] = json!("it went quite well");
    let all = read(&odd);
    assert_eq!(
        unplaced(&all[0]),
        [
            "simulations[0].messages[1].gesture",
            "simulations[0].messages[6]",
            "simulations[0].verdict"
        ]
    );
    for other in [json!({"simulations": [{"id": 1}]}), json!({"simulations": 3, "tasks": []})] {
        assert!(recognise(&Sniff::of(&other.to_string())).is_none(), "{other}");
    }
}
