//! Makes the dictionary that bodies are compressed with (`src/dictionary.bin`), from conversations, runs and documents
//! that are invented here: a dictionary learnt from people's own would keep their words after a purge.
//!
//! ```text
//! cargo run -p retort-store --example dictionary > dictionary.bin && mv dictionary.bin crates/store/src/
//! cargo run -p retort-store --example dictionary -- measure crates/store/src/dictionary.bin LINES.jsonl …
//! ```
//!
//! The second compares: bytes of the lines (of `retort convert --to retort`), and of their bodies without a dictionary,
//! with the shipped one, and with one learnt from the first 2,000 lines. A dictionary that was released is never
//! changed, as bodies are read with it: a next one gets a number of its own in `body.rs`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example")]

use std::io::{self, Write};

use retort_json::{RawJson, Text};
use retort_model::{
    Chunk, Content, Conversation, Document, Feedback, Kind, Message, NodeKind, NodeRun, Role,
    Round, Run, Time, ToolCall, Usage, canonical,
};

/// Bytes of the dictionary.
const BYTES: usize = 64 << 10;

/// Items of each kind that are invented.
const ITEMS: usize = 1500;

/// Bytes of one item that are learnt from.
const SAMPLE_BYTES: usize = 16 << 10;

/// Whatever comes next, the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap_or(0) % end
    }

    fn one(&mut self, of: &'static str) -> &'static str {
        let words = of.split('|').count();
        let at = self.below(words);
        of.split('|').nth(at).unwrap_or_default().trim()
    }

    fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from_digit(self.below(16) as u32, 16).unwrap_or('0')).collect()
    }

    fn time(&mut self) -> Option<Time> {
        Time::from_unix_micros(1_690_000_000_000_000 + self.below(90_000_000_000_000) as i64)
    }

    fn id(&mut self) -> String {
        match self.below(4) {
            0 => format!(
                "{}-{}-{}-{}-{}",
                self.hex(8),
                self.hex(4),
                self.hex(4),
                self.hex(4),
                self.hex(12)
            ),
            1 => self.hex(24),
            2 => format!("chatcmpl-{}", self.hex(29)),
            _ => format!("conv-{}", self.below(100_000)),
        }
    }

    /// A text with its slots filled: `{noun}`, `{verb}`, `{name}`, `{number}`.
    fn fill(&mut self, template: &str) -> String {
        let mut out = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let slot = after.split_once('}').map_or("", |(slot, _)| slot);
            let filled = match slot {
                "noun" => self.one(NOUNS).to_owned(),
                "verb" => self.one(VERBS).to_owned(),
                "adjective" => self.one(ADJECTIVES).to_owned(),
                "name" => self.one(NAMES).to_owned(),
                "number" => self.below(1000).to_string(),
                _ => {
                    // A brace of JSON or of a program.
                    out.push('{');
                    rest = after;
                    continue;
                }
            };
            out.push_str(&filled);
            rest = after.get(slot.len() + 1..).unwrap_or_default();
        }
        out.push_str(rest);
        out
    }

    fn paragraph(&mut self, of: &'static [&'static str], most: usize) -> String {
        let count = 1 + self.below(most);
        let some: Vec<_> = (0..count)
            .map(|_| {
                let at = self.below(of.len());
                self.fill(of.get(at).copied().unwrap_or_default())
            })
            .collect();
        some.join(if self.below(3) == 0 { "\n\n" } else { " " })
    }

    fn question(&mut self) -> String {
        self.paragraph(QUESTIONS, 3)
    }

    fn answer(&mut self) -> String {
        match self.below(4) {
            0 => format!("{}\n\n{}", self.paragraph(ANSWERS, 2), self.paragraph(BLOCKS, 2)),
            1 => format!("{}\n\n{}", self.paragraph(ANSWERS, 2), self.list()),
            2 => self.paragraph(OTHERS, 3),
            _ => self.paragraph(ANSWERS, 6),
        }
    }

    fn list(&mut self) -> String {
        let count = 2 + self.below(5);
        let numbered = self.below(2) == 0;
        let mut out = String::new();
        for number in 1..=count {
            let item = self.paragraph(ITEMS_OF_LISTS, 1);
            if numbered {
                out.push_str(&format!("{number}. {item}\n"));
            } else {
                out.push_str(&format!("- {item}\n"));
            }
        }
        out
    }

    fn raw(&mut self, template: &str) -> RawJson<'static> {
        RawJson::owned(&self.fill(template)).unwrap_or_else(|_| RawJson::string("…"))
    }
}

const NOUNS: &str = "time|people|way|day|man|thing|woman|life|child|world|school|state|family|student|group|country|problem|hand|part|place|case|week|company|system|program|question|work|government|number|night|point|home|water|room|mother|area|money|story|fact|month|lot|right|study|book|eye|job|word|business|issue|side|kind|head|house|service|friend|father|power|hour|game|line|end|member|law|car|city|community|name|president|team|minute|idea|body|information|back|parent|face|others|level|office|door|health|person|art|war|history|party|result|change|morning|reason|research|girl|guy|moment|air|teacher|force|education|model|data|file|function|class|method|value|error|message|user|server|database|table|column|query|request|response|document|list|string|object|image|page|text|account|order|product|customer|price|email|address|project|task|test|version|code|example|step|paper|language|training|course|lecture|exam|market|process|analysis|experience|development|management|technology|software|application|solution|network|security";
const VERBS: &str = "be|have|do|say|get|make|go|know|take|see|come|think|look|want|give|use|find|tell|ask|work|seem|feel|try|leave|call|keep|let|begin|help|show|hear|play|run|move|live|believe|bring|happen|write|provide|sit|stand|lose|pay|meet|include|continue|set|learn|change|lead|understand|watch|follow|stop|create|speak|read|allow|add|spend|grow|open|walk|win|offer|remember|love|consider|appear|buy|wait|serve|die|send|expect|build|stay|fall|cut|reach|kill|remain|suggest|raise|pass|sell|require|report|decide|pull|return|explain|hope|develop|carry|break|receive|agree|support|hit|produce|eat|cover|catch|draw|choose|calculate|compare|convert|summarize|translate|generate|describe|update|delete|search|check";
const ADJECTIVES: &str = "good|new|first|last|long|great|little|own|other|old|right|big|high|different|small|large|next|early|young|important|few|public|bad|same|able|specific|general|available|possible|similar|following|correct|common|simple|current|main|significant|potential|effective|various|additional|necessary|relevant|key|best|better|free|full|special|certain|personal|open|clear|recent|single|natural|significant|several|strong|complete|international|local";
const NAMES: &str = "get_weather|search_web|search_documents|run_code|send_email|get_order_status|calculate|create_event|list_files|read_file|write_file|execute_sql|translate_text|lookup_customer|book_flight|get_stock_price|convert_currency|generate_image|retrieve_context|open_ticket";

const QUESTIONS: &[&str] = &[
    "How do I {verb} a {noun}?",
    "Can you help me {verb} the {adjective} {noun}?",
    "What is the difference between a {noun} and a {noun}?",
    "Please write a {adjective} {noun} about the {noun}.",
    "Why does my {noun} not {verb}? I get an error: ",
    "Explain {noun} to me in simple terms.",
    "Give me {number} examples of {adjective} {noun}s.",
    "I want to {verb} a {noun}, but I don't know how to {verb} it.",
    "Could you please {verb} this for me?",
    "What are the best ways to {verb} a {noun}?",
    "Write a Python function that {verb}s a list of {noun}s.",
    "Translate the following text into English: ",
    "Summarize the following article: ",
    "Act as a {adjective} {noun}. I will {verb} and you will answer.",
    "You are a helpful assistant. Answer the question using the context below.",
    "Thanks! And how about the {noun}?",
    "Is it possible to {verb} the {noun} without the {noun}?",
    "Tell me more about this.",
    "Continue",
];

const ANSWERS: &[&str] = &[
    "Sure! Here is an example of how you can {verb} a {noun}:",
    "Certainly! Here's a {adjective} {noun} that you can use:",
    "I'm sorry, but I don't have access to {adjective} information about the {noun}.",
    "As an AI language model, I don't have personal opinions, but I can {verb} you with information about it.",
    "To {verb} the {noun}, you need to {verb} the {noun} first. This is because the {noun} is {adjective}.",
    "There are several ways to {verb} a {noun}. The most common one is to {verb} it with a {noun}.",
    "It is important to note that the {noun} depends on the {noun}, and that it may not be {adjective} for you.",
    "In this example, we {verb} the {noun} and then use it to {verb} the {noun}.",
    "Overall, the {noun} is a {adjective} part of the {noun}, which makes it easier for people to {verb}.",
    "However, you should be careful with this, because it could {verb} the {noun}.",
    "For example, if you want to {verb} a {noun}, you would first have to {verb} the other {noun}.",
    "I hope this helps! Let me know if you have any other questions or if there is anything else I can help you with.",
    "Here are some of the {adjective} reasons why this happens:",
    "According to the document, the {noun} was {number} percent of the {noun} in the last year.",
    "The {noun} of the {noun} is that there are {number} of them, which would have been more than they should have.",
    "You're welcome! If you have any further questions, feel free to ask.",
    "Yes, that is correct. The {noun} can be used with the {noun}, as well as with other {noun}s.",
    "First, make sure that you have the {adjective} version of the {noun} installed on your computer.",
    "This means that they will not be able to {verb} until the {noun} has been changed.",
    "In conclusion, it was the {adjective} {noun} that made the difference between their {noun} and your own.",
    "Based on the information provided, it looks like the {noun} is not where it should be.",
];

const ITEMS_OF_LISTS: &[&str] = &[
    "**{adjective} {noun}**: This is where you {verb} the {noun}.",
    "**{noun}** — a {adjective} {noun} which can {verb}",
    "{verb} the {noun} and {verb} it with the {noun}",
    "Use a {adjective} {noun} to {verb} your {noun}.",
    "Make sure that your {noun} is {adjective}.",
    "`{name}`: {verb}s the {noun} of the {noun}",
];

const BLOCKS: &[&str] = &[
    "```python\nimport os\nimport json\nimport numpy as np\nimport pandas as pd\n\ndef {name}(data, value=None):\n    \"\"\"Return the {noun} of the {noun}.\"\"\"\n    result = []\n    for i in range(len(data)):\n        if data[i] is not None:\n            result.append(data[i])\n    return result\n\nif __name__ == \"__main__\":\n    print({name}([1, 2, 3]))\n```",
    "```javascript\nconst {noun} = async (request, response) => {\n  try {\n    const result = await fetch(`https://api.example.com/${id}`);\n    return response.json();\n  } catch (error) {\n    console.error(error);\n    throw new Error('{noun} not found');\n  }\n};\n\nexport default function App() {\n  const [state, setState] = useState(null);\n  return <div className=\"container\">{state}</div>;\n}\n```",
    "```sql\nSELECT id, name, created_at, COUNT(*) AS total\nFROM {noun}s\nWHERE status = 'active' AND created_at > '2024-01-01'\nGROUP BY name\nORDER BY total DESC\nLIMIT 10;\n```",
    "```bash\nsudo apt-get update && sudo apt-get install -y python3-pip\npip install -r requirements.txt\ngit clone https://github.com/example/example.git\ndocker run -p 8080:80 --name {noun} example/{noun}:latest\n```",
    "```java\npublic class Main {\n    public static void main(String[] args) {\n        System.out.println(\"Hello, World!\");\n        List<String> list = new ArrayList<>();\n        for (int i = 0; i < list.size(); i++) {\n            private final String {noun};\n        }\n    }\n}\n```",
    "```html\n<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n  <meta charset=\"utf-8\">\n  <title>{noun}</title>\n  <link rel=\"stylesheet\" href=\"style.css\">\n</head>\n<body>\n  <div class=\"container\">\n    <h1>{noun}</h1>\n    <p>The {adjective} {noun}</p>\n  </div>\n</body>\n</html>\n```",
    "```cpp\n#include <iostream>\n#include <vector>\nusing namespace std;\n\nint main() {\n    std::vector<int> values = {1, 2, 3};\n    for (int i = 0; i < n; ++i) {\n        cout << values[i] << endl;\n    }\n    return 0;\n}\n```",
    "```json\n{\n  \"name\": \"{noun}\",\n  \"version\": \"1.0.0\",\n  \"description\": \"\",\n  \"items\": [\n    {\n      \"id\": 1,\n      \"type\": \"{noun}\"\n    }\n  ]\n}\n```",
    "| Name | Type | Description |\n|------|------|-------------|\n| {noun} | string | The {adjective} {noun} |\n| {noun} | integer | The number of {noun}s |\n",
    "## {adjective} {noun}\n\n### Step 1: {verb} the {noun}\n\n### Step 2: {verb} the {noun}\n\n---\n",
    "\\[\n\\frac{1}{n} \\sum_{i=1}^{n} x_i = \\int_{0}^{1} f(x) \\, dx\n\\]\nwhere \\( x \\) is the {noun} and \\( n = {number} \\).",
    "Traceback (most recent call last):\n  File \"/usr/lib/python3/dist-packages/main.py\", line {number}, in <module>\n    raise ValueError(\"invalid {noun}\")\nTypeError: 'NoneType' object is not subscriptable\nModuleNotFoundError: No module named '{noun}'",
];

const OTHERS: &[&str] = &[
    "Natürlich! Hier ist ein Beispiel, wie Sie das machen können: Die Funktion wird mit dem Wert aufgerufen, der in der Liste steht, und gibt das Ergebnis zurück.",
    "Es ist wichtig, dass Sie zuerst die richtige Version installieren. Wenn Sie noch weitere Fragen haben, können Sie sich gerne melden.",
    "Ich möchte wissen, ob es möglich ist, eine neue Datei zu erstellen, die nicht von der anderen abhängig ist. Können Sie mir dabei helfen? Vielen Dank!",
    "Bien sûr ! Voici un exemple de ce que vous pouvez faire avec les données qui sont dans le fichier. Il est important de vérifier que c'est la bonne version.",
    "Je voudrais savoir comment faire pour créer une nouvelle page sans avoir besoin de changer les autres. Pouvez-vous m'aider, s'il vous plaît ?",
    "¡Claro! Aquí tienes un ejemplo de cómo puedes hacerlo: la función se utiliza para obtener el valor de la lista, y después se puede guardar en el archivo.",
    "¿Cuál es la diferencia entre los dos? No sé cómo hacerlo para que también funcione con los demás. Muchas gracias por tu ayuda.",
    "Claro! Aqui está um exemplo de como você pode fazer isso. É importante que não haja nenhum outro arquivo com o mesmo nome na pasta.",
    "当然可以！以下是一个示例，您可以使用它来实现这个功能。首先，我们需要安装所需要的库，然后在代码中进行设置。",
    "请问如何在这个文件中添加一个新的用户？我想要知道为什么会出现这个错误，谢谢。",
    "作为一个人工智能语言模型，我没有个人的意见，但是我可以为您提供关于这个问题的信息。如果您还有其他问题，请随时告诉我。",
    "もちろんです。以下は、この方法を使用するための例です。まず、必要なファイルを作成してください。何か他に質問がありましたら、お知らせください。",
    "Конечно! Вот пример того, как это можно сделать: сначала нужно создать новый файл, а затем использовать его для того, чтобы получить результат.",
];

fn text(text: String) -> Option<Content<'static>> {
    Some(Content::Text(text.into()))
}

fn message(role: Role, content: String) -> Message<'static> {
    Message { role, content: text(content), ..Message::default() }
}

fn tool(dice: &mut Dice) -> RawJson<'static> {
    dice.raw(
        r#"{"type":"function","function":{"name":"{name}","description":"{verb} the {adjective} {noun} of a {noun}","parameters":{"type":"object","properties":{"{noun}":{"type":"string","description":"The {noun} to {verb}"},"{noun}":{"type":"integer","description":"Number of {noun}s","default":10},"{noun}":{"type":"array","items":{"type":"string"}},"unit":{"type":"string","enum":["celsius","fahrenheit"]},"{noun}":{"type":"boolean"}},"required":["{noun}"],"additionalProperties":false}}}"#,
    )
}

fn passage(dice: &mut Dice) -> RawJson<'static> {
    dice.raw(
        r#"{"id":{number},"text":"The {noun} of the {noun} has been {adjective} since the {noun}, which will {verb} the {noun} in the {adjective} {noun}.","url":"https://example.com/{noun}/{noun}.html","title":"{adjective} {noun}","s3_path":"courses/{noun}/{number}.pdf","pagenumber":"{number}","readable_filename":"{noun} {noun}.pdf","course_name":"{noun}","course_name ":"{noun}","base_url":"https://example.com"}"#,
    )
}

fn round(dice: &mut Dice, number: u32) -> Round<'static> {
    let mut messages = vec![message(Role::User, dice.question())];
    if number == 1 && dice.below(3) == 0 {
        let content = format!("You are a helpful assistant. {}", dice.question());
        messages.insert(0, message(Role::System, content));
    }
    let mut tools = Vec::new();
    if dice.below(4) == 0 {
        let id = format!("call_{}", dice.hex(24));
        tools = (0..1 + dice.below(3)).map(|_| tool(dice)).collect();
        let call = ToolCall {
            id: id.clone().into(),
            name: dice.one(NAMES).to_owned().into(),
            arguments: dice
                .fill(r#"{"{noun}": "{noun}", "query": "{adjective} {noun}", "limit": {number}}"#)
                .into(),
            ..ToolCall::default()
        };
        messages.push(Message {
            content: None,
            tool_calls: vec![call],
            reasoning: (dice.below(3) == 0).then(|| Text::from(dice.paragraph(ANSWERS, 2))),
            ..message(Role::Assistant, String::new())
        });
        let result = dice.fill(
            r#"{"status": "success", "results": [{"id": {number}, "{noun}": "{noun}", "name": "{adjective} {noun}", "value": {number}}], "error": null, "total": {number}}"#,
        );
        messages.push(Message {
            tool_call_id: Some(id.into()),
            name: Some(dice.one(NAMES).to_owned().into()),
            ..message(Role::Tool, result)
        });
    }
    let mut answer = message(Role::Assistant, dice.answer());
    answer.created_at = if dice.below(2) == 0 { dice.time() } else { None };
    answer.contexts = (0..dice.below(3)).map(|_| passage(dice)).collect();
    if dice.below(6) == 0 {
        let label = Some(Text::from("inaccurate"));
        let rating = Some(dice.raw("true"));
        answer.feedback = Some(Box::new(Feedback { rating, label, comment: None }));
    }
    messages.push(answer);
    let usage = match dice.below(2) {
        0 => Usage::default(),
        _ => Usage {
            input_tokens: Some(dice.below(4000) as u64),
            output_tokens: Some(dice.below(900) as u64),
        },
    };
    Round { number, tools, messages, usage, ..Round::default() }
}

fn conversation(dice: &mut Dice) -> Conversation<'static> {
    let rounds = 1 + dice.below(6);
    let source = dice.one("openai|sharegpt|uiuc-chat|mcp-agent-graph|retort").to_owned();
    let model = dice.one(
        "gpt-4o|gpt-4o-mini|gpt-4-turbo|gpt-3.5-turbo|claude-3-5-sonnet|llama-3.1-70b-instruct|qwen2.5-72b-instruct|deepseek-chat|mistral-large|gemini-1.5-pro",
    );
    let mut all = Conversation {
        id: dice.id().into(),
        source: source.into(),
        title: Some(dice.fill("{adjective} {noun} and {noun}").into()),
        kind: [Kind::Chat, Kind::Chat, Kind::Agent].get(dice.below(3)).copied().unwrap_or_default(),
        model: Some(model.to_owned().into()),
        created_at: dice.time(),
        rounds: (1..).take(rounds).map(|number| round(dice, number)).collect(),
        ..Conversation::default()
    };
    all.updated_at = all.created_at;
    all.owner = (dice.below(2) == 0).then(|| "user@example.com".into());
    all.project = (dice.below(3) == 0).then(|| "default".into());
    if dice.below(3) == 0 {
        all.tags = vec![dice.one(NOUNS).to_owned().into()];
    }
    if dice.below(3) == 0 {
        all.metadata.put("temperature".into(), dice.raw("0.7"));
        all.metadata.put("folderId".into(), dice.raw("null"));
        all.metadata.put("data_source".into(), RawJson::string("chat"));
        all.metadata.put("usage".into(), dice.raw(r#"{"prompt_tokens":{number},"completion_tokens":{number},"total_tokens":{number}}"#));
    }
    all
}

fn run(dice: &mut Dice) -> Run<'static> {
    let node = |dice: &mut Dice| NodeRun {
        node: dice
            .one("start|retrieve|generate|answer|classify|rewrite|summarize|end")
            .to_owned()
            .into(),
        kind: [NodeKind::ModelCall, NodeKind::Retrieval, NodeKind::Tool, NodeKind::Agent]
            .get(dice.below(4))
            .copied()
            .unwrap_or_default(),
        model: Some("gpt-4o".into()),
        prompt: Some(Text::from(
            "Answer the question using the context.\n\nContext: {context}\n\nQuestion: {question}",
        )),
        variables: Some(dice.raw(
            r#"{"question":"How do I {verb} the {noun}?","context":"The {noun} is {adjective}."}"#,
        )),
        input: Some(dice.raw(r#"{"question":"How do I {verb} the {noun}?"}"#)),
        output: Some(dice.raw(r#""The {adjective} {noun} can {verb} the {noun}.""#)),
        started_at: dice.time(),
        finished_at: dice.time(),
        usage: Usage { input_tokens: Some(812), output_tokens: Some(96) },
        ..NodeRun::default()
    };
    let nodes = (0..1 + dice.below(4)).map(|_| node(dice)).collect();
    Run {
        request_id: dice.id().into(),
        source_id: dice.hex(8).into(),
        source_name: Some(dice.fill("{noun} assistant").into()),
        version: Some("v2".into()),
        thread: Some(dice.id().into()),
        question: Some(dice.question().into()),
        inputs: Some(dice.raw(r#"{"input_message":"{verb} the {noun}"}"#)),
        answer: Some(dice.answer().into()),
        contexts: (0..dice.below(3)).map(|_| passage(dice)).collect(),
        nodes,
        started_at: dice.time(),
        finished_at: dice.time(),
        ..Run::default()
    }
}

fn document(dice: &mut Dice) -> Document<'static> {
    let chunk = |dice: &mut Dice| Chunk {
        text: dice.paragraph(ANSWERS, 8).into(),
        pagenumber: Some(dice.raw("{number}")),
        ..Chunk::default()
    };
    Document {
        id: dice.id().into(),
        chunks: (0..1 + dice.below(4)).map(|_| chunk(dice)).collect(),
        created_at: dice.time(),
        ..Document::default()
    }
}

fn invented() -> Vec<Vec<u8>> {
    let mut dice = Dice(0x5eed_1e55);
    let mut lines = Vec::new();
    for _ in 0..ITEMS {
        let mut line = Vec::new();
        canonical::write(&conversation(&mut dice), &mut line);
        lines.push(std::mem::take(&mut line));
        if lines.len() % 4 == 0 {
            canonical::write_run(&run(&mut dice), &mut line);
            lines.push(std::mem::take(&mut line));
            canonical::write_document(&document(&mut dice), &mut line);
            lines.push(line);
        }
    }
    lines
}

fn learn(lines: &[Vec<u8>], bytes: usize) -> io::Result<Vec<u8>> {
    let starts = lines.iter().map(|line| line.get(..line.len().min(SAMPLE_BYTES)).unwrap_or(line));
    zstd::dict::from_samples(&starts.collect::<Vec<_>>(), bytes)
}

fn packed(lines: &[Vec<u8>], dictionary: &[u8]) -> io::Result<usize> {
    let mut packer = zstd::bulk::Compressor::with_dictionary(1, dictionary)?;
    lines.iter().map(|line| packer.compress(line).map(|packed| packed.len())).sum()
}

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some("measure") {
        return io::stdout().write_all(&learn(&invented(), BYTES)?);
    }
    let shipped = std::fs::read(arguments.next().unwrap_or_default())?;
    for path in arguments {
        let text = std::fs::read(&path)?;
        let lines: Vec<Vec<u8>> = text
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(<[u8]>::to_vec)
            .collect();
        let first = lines.get(..lines.len().min(2000)).unwrap_or_default();
        let learnt = learn(first, 112 << 10).unwrap_or_default();
        println!(
            "{path}: {} lines, {} bytes; without {}, shipped {}, learnt {}",
            lines.len(),
            text.len(),
            packed(&lines, &[])?,
            packed(&lines, &shipped)?,
            packed(&lines, &learnt)?
        );
    }
    Ok(())
}
