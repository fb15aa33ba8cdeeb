//! The canonical line of a run.

use super::conversation::{
    read_feedback, read_judgement, read_not_understood, write_feedback, write_judgement,
    write_not_understood,
};
use super::line::{
    CanonicalError, Object, RUN_VERSION, VERSION, check_version, count, each_key, fields, list,
    named, optional_text, position, time, write_list,
};
use crate::run::{FileReference, NodeRun, Run, RunSource};
use retort_json::Parser;

/// Appends the run as one line, without the line's end.
pub fn write_run(run: &Run<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.raw("retort_run", &version_of(run).to_string());
    object.text("request_id", &run.request_id);
    object.optional("project", run.project.as_ref());
    object.optional("owner", run.owner.as_ref());
    object.name("source", run.source.as_str());
    object.text("source_id", &run.source_id);
    object.optional("source_name", run.source_name.as_ref());
    object.optional("version", run.version.as_ref());
    object.optional("thread", run.thread.as_ref());
    object.optional("question", run.question.as_ref());
    object.optional_raw("inputs", run.inputs.as_ref());
    object.optional("answer", run.answer.as_ref());
    object.optional("error", run.error.as_ref());
    object.name("status", run.status.as_str());
    object.list("files", &run.files, write_file);
    object.list("contexts", &run.contexts, |raw, out| {
        out.extend_from_slice(raw.as_str().as_bytes());
    });
    if !run.nodes.is_empty() {
        object.key("nodes");
        write_list(&run.nodes, object.out, write_node);
    }
    if let Some(feedback) = &run.feedback {
        object.key("feedback");
        write_feedback(feedback, object.out);
    }
    object.optional("ground_truth", run.ground_truth.as_ref());
    object.list("judgements", &run.judgements, write_judgement);
    object.time("started_at", run.started_at);
    object.time("finished_at", run.finished_at);
    object.list("not_understood", &run.not_understood, write_not_understood);
    object.fields("metadata", &run.metadata);
    object.end();
}

/// The oldest version that has all that the run holds.
fn version_of(run: &Run<'_>) -> u32 {
    let has_costs = || run.nodes.iter().any(|node| node.cost_usd.is_some());
    match () {
        () if !run.judgements.is_empty() => RUN_VERSION,
        () if run.source == RunSource::Application || has_costs() => 2,
        () => VERSION,
    }
}

fn write_file(file: &FileReference<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.text("uri", &file.uri);
    object.optional("name", file.name.as_ref());
    object.optional("media_type", file.media_type.as_ref());
    object.number("size_bytes", file.size_bytes);
    object.fields("metadata", &file.metadata);
    object.end();
}

/// Appends one node of a run as it is in the run's line.
pub(crate) fn write_node(node: &NodeRun<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.text("node", &node.node);
    object.name("kind", node.kind.as_str());
    object.number("parent", node.parent.map(|parent| parent as u64));
    object.optional("model", node.model.as_ref());
    object.optional("prompt", node.prompt.as_ref());
    object.optional_raw("variables", node.variables.as_ref());
    object.optional_raw("input", node.input.as_ref());
    object.optional_raw("output", node.output.as_ref());
    object.name("status", node.status.as_str());
    object.optional("error", node.error.as_ref());
    if let Some(feedback) = &node.feedback {
        object.key("feedback");
        write_feedback(feedback, object.out);
    }
    object.optional("ground_truth", node.ground_truth.as_ref());
    object.time("started_at", node.started_at);
    object.time("finished_at", node.finished_at);
    object.number("input_tokens", node.usage.input_tokens);
    object.number("output_tokens", node.usage.output_tokens);
    if let Some(cost) = node.cost_usd.filter(|cost| cost.is_finite()) {
        object.raw("cost_usd", &cost.to_string());
    }
    object.fields("metadata", &node.metadata);
    object.end();
}

/// Reads a run from one canonical line, borrowing from it.
///
/// # Errors
/// What is wrong with the text and at which byte; a version of a later release.
pub fn read_run(line: &str) -> Result<Run<'_>, CanonicalError> {
    let mut parser = Parser::new(line);
    let run = read_run_from(&mut parser)?;
    parser.end()?;
    Ok(run)
}

/// As [`read_run`], from where a parser stands.
///
/// # Errors
/// As [`read_run`].
pub fn read_run_from<'a>(parser: &mut Parser<'a>) -> Result<Run<'a>, CanonicalError> {
    let mut run = Run::default();
    let mut versioned = false;
    each_key(parser, |key, parser| {
        match key {
            "retort_run" => {
                check_version(parser, RUN_VERSION)?;
                versioned = true;
            }
            "request_id" => run.request_id = parser.string()?,
            "project" => run.project = optional_text(parser)?,
            "owner" => run.owner = optional_text(parser)?,
            "source" => run.source = named(parser, "source")?,
            "source_id" => run.source_id = parser.string()?,
            "source_name" => run.source_name = optional_text(parser)?,
            "version" => run.version = optional_text(parser)?,
            "thread" => run.thread = optional_text(parser)?,
            "question" => run.question = optional_text(parser)?,
            "inputs" => run.inputs = Some(parser.raw()?),
            "answer" => run.answer = optional_text(parser)?,
            "error" => run.error = optional_text(parser)?,
            "status" => run.status = named(parser, "status")?,
            "files" => run.files = list(parser, read_file)?,
            "contexts" => run.contexts = list(parser, |parser| Ok(parser.raw()?))?,
            "nodes" => run.nodes = list(parser, read_node)?,
            "not_understood" => run.not_understood = list(parser, read_not_understood)?,
            "feedback" => run.feedback = Some(Box::new(read_feedback(parser)?)),
            "ground_truth" => run.ground_truth = optional_text(parser)?,
            "judgements" => run.judgements = list(parser, read_judgement)?,
            "started_at" => run.started_at = time(parser, "started_at")?,
            "finished_at" => run.finished_at = time(parser, "finished_at")?,
            "metadata" => run.metadata = fields(parser)?,
            _ => run.metadata.put(key.to_owned().into(), parser.raw()?),
        }
        Ok(())
    })?;
    if !versioned {
        return Err(CanonicalError::Field("retort_run", 0));
    }
    Ok(run)
}

fn read_file<'a>(parser: &mut Parser<'a>) -> Result<FileReference<'a>, CanonicalError> {
    let mut file = FileReference::default();
    each_key(parser, |key, parser| {
        match key {
            "uri" => file.uri = parser.string()?,
            "name" => file.name = optional_text(parser)?,
            "media_type" => file.media_type = optional_text(parser)?,
            "size_bytes" => file.size_bytes = count(parser, "size_bytes")?,
            "metadata" => file.metadata = fields(parser)?,
            _ => file.metadata.put(key.to_owned().into(), parser.raw()?),
        }
        Ok(())
    })?;
    Ok(file)
}

fn read_node<'a>(parser: &mut Parser<'a>) -> Result<NodeRun<'a>, CanonicalError> {
    let mut node = NodeRun::default();
    each_key(parser, |key, parser| {
        match key {
            "node" => node.node = parser.string()?,
            "kind" => node.kind = named(parser, "kind")?,
            "parent" => node.parent = position(parser, "parent")?,
            "model" => node.model = optional_text(parser)?,
            "prompt" => node.prompt = optional_text(parser)?,
            "variables" => node.variables = Some(parser.raw()?),
            "input" => node.input = Some(parser.raw()?),
            "output" => node.output = Some(parser.raw()?),
            "status" => node.status = named(parser, "status")?,
            "error" => node.error = optional_text(parser)?,
            "feedback" => node.feedback = Some(Box::new(read_feedback(parser)?)),
            "ground_truth" => node.ground_truth = optional_text(parser)?,
            "started_at" => node.started_at = time(parser, "started_at")?,
            "finished_at" => node.finished_at = time(parser, "finished_at")?,
            "input_tokens" => node.usage.input_tokens = count(parser, "input_tokens")?,
            "output_tokens" => node.usage.output_tokens = count(parser, "output_tokens")?,
            "cost_usd" => {
                let at = parser.at();
                let cost = parser.number()?.parse().ok().filter(|cost: &f64| cost.is_finite());
                node.cost_usd = Some(cost.ok_or(CanonicalError::Field("cost_usd", at))?);
            }
            "metadata" => node.metadata = fields(parser)?,
            _ => node.metadata.put(key.to_owned().into(), parser.raw()?),
        }
        Ok(())
    })?;
    Ok(node)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::Usage;
    use crate::judgement::Judgement;
    use crate::message::{Feedback, NotUnderstood};
    use crate::run::{NodeKind, RunStatus};
    use crate::time::Time;
    use retort_json::{RawJson, Text};

    fn raw(text: &str) -> RawJson<'static> {
        RawJson::parse(text).unwrap().into_owned()
    }

    fn whole() -> Run<'static> {
        let feedback = Feedback {
            rating: Some(raw("4.5")),
            label: Some(Text::from("good")),
            comment: Some(Text::from("“好” \u{1f600}")),
        };
        let node = NodeRun {
            node: "summarise".into(),
            kind: NodeKind::ModelCall,
            parent: Some(0),
            model: Some("m".into()),
            prompt: Some("Say {x}\n".into()),
            variables: Some(raw(r#"{"x":1.50}"#)),
            input: Some(raw(r#""text""#)),
            output: Some(raw(r#"{"a":[1,null]}"#)),
            status: RunStatus::Failure,
            error: Some("no".into()),
            feedback: Some(Box::new(feedback.clone())),
            ground_truth: Some("yes".into()),
            started_at: Time::parse("2026-01-02T03:04:05.123456Z").ok(),
            finished_at: Time::parse("2026-01-02T03:04:06Z").ok(),
            usage: Usage { input_tokens: Some(3), output_tokens: Some(0) },
            cost_usd: Some(0.000_012_5),
            metadata: [("k".into(), raw("[]"))].into_iter().collect(),
        };
        Run {
            request_id: "r1".into(),
            project: Some("p".into()),
            owner: Some("a@b".into()),
            source: RunSource::Recipe,
            source_id: "rec".into(),
            source_name: Some("Recipe".into()),
            version: Some("3".into()),
            thread: Some("t".into()),
            question: Some("?".into()),
            inputs: Some(raw("{}")),
            answer: Some("!".into()),
            error: Some(String::new().into()),
            status: RunStatus::Cancelled,
            files: vec![FileReference {
                uri: "s3://b/k".into(),
                name: Some("k".into()),
                media_type: Some("application/pdf".into()),
                size_bytes: Some(9),
                metadata: [("etag".into(), raw(r#""x""#))].into_iter().collect(),
            }],
            contexts: vec![raw(r#"{"text":"p"}"#)],
            nodes: vec![NodeRun { node: "start".into(), ..NodeRun::default() }, node],
            feedback: Some(Box::new(feedback)),
            ground_truth: Some("truth".into()),
            judgements: vec![Judgement {
                by: Some("ann".into()),
                at: Time::parse("2026-01-03T03:04:05Z").ok(),
                rating: Some(raw("4.5")),
                train: Some(false),
                corrected: Some("truth".into()),
                ..Judgement::default()
            }],
            started_at: Time::parse("2026-01-02T03:04:05Z").ok(),
            finished_at: None,
            not_understood: vec![NotUnderstood { path: "steps[0]".into(), raw: RawJson::null() }],
            metadata: [("later".into(), raw(r#"{"b":2}"#))].into_iter().collect(),
        }
    }

    #[test]
    fn a_run_comes_back_as_it_was() {
        for run in [Run::default(), whole()] {
            let mut line = Vec::new();
            write_run(&run, &mut line);
            let line = String::from_utf8(line).unwrap();
            assert!(!line.contains('\n'));
            assert_eq!(read_run(&line).unwrap(), run, "{line}");
        }
    }

    #[test]
    fn a_line_is_in_the_oldest_version_that_has_all_it_holds() {
        let version = |run: &Run<'_>| {
            let mut line = Vec::new();
            write_run(run, &mut line);
            String::from_utf8(line).unwrap().split([':', ',']).nth(1).unwrap().to_owned()
        };
        let application = Run { source: RunSource::Application, ..Run::default() };
        assert_eq!(version(&Run::default()), "1");
        let unjudged = Run { judgements: Vec::new(), ..whole() };
        assert_eq!([version(&application), version(&unjudged), version(&whole())], ["2", "2", "3"]);
    }

    #[test]
    fn what_a_later_release_added_stays() {
        let run = read_run(r#"{"retort_run":1,"request_id":"a","colour":"blue"}"#).unwrap();
        assert_eq!(run.metadata.to_vec(), [("colour".into(), raw(r#""blue""#))]);
        assert!(read_run(r#"{"request_id":"a"}"#).is_err());
        assert!(read_run(r#"{"retort_run":99,"request_id":"a"}"#).is_err());
    }
}
