//! Writes an invented history of conversations to standard output, as JSON lines, for
//! measurements and large tests. The same arguments give the same bytes.
//!
//!     generate-histories --size 2GB --seed 1 [--shape openai|sharegpt] [--late]
//!         [--varied] > file.jsonl
//!
//! The text is made of words in eight languages and six scripts, with quotes, paths, code and
//! emoji, so that it has the escapes, the lengths and the compressibility of real histories. It
//! means nothing. Every conversation alternates properly and ends on an answer.

use std::error::Error;
use std::fmt;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

const USAGE: &str = "\
Usage: generate-histories [OPTIONS] > file.jsonl

Writes an invented history of conversations, one JSON object a line.

Options:
      --size SIZE      stop at the first line that reaches SIZE: bytes, or with KB, MB, GB [100MB]
      --count N        stop after N conversations (with --size, whichever comes first)
      --seed N         the same seed gives the same bytes [1]
      --shape SHAPE    openai or sharegpt [openai]
      --varied         ids, types, statuses, owners and years as a store has them
      --late           no tags and no tools in the first 12 MB
  -h, --help           print this
";

const BUFFER_BYTES: usize = 1 << 20;
const DEFAULT_SIZE_BYTES: u64 = 100_000_000;

/// Readers that guess a schema look at the first 10 MB (10 MiB, some of them); this is past both.
const LATE_BYTES: u64 = 12_000_000;

const MOST_MESSAGES: usize = 12;
const MOST_CALLS: usize = 3;
const MOST_TURNS: usize = 5;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => return fail(error.as_ref()),
    };
    let out = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
    match generate(&options, out) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => fail(&error),
        _ => ExitCode::SUCCESS,
    }
}

fn fail(error: &dyn Error) -> ExitCode {
    eprintln!("generate-histories: {error}");
    ExitCode::from(2)
}

fn generate(options: &Options, mut out: impl Write) -> io::Result<()> {
    let phrasebook = Phrasebook::new();
    let mut scribe = Scribe {
        shape: options.shape,
        varied: options.varied,
        phrasebook: &phrasebook,
        random: Random(options.seed),
        line: Vec::new(),
    };
    let mut written_bytes = 0;
    let mut number = 0;
    while number < options.count && written_bytes < options.size_bytes {
        number += 1;
        let bare = options.late && written_bytes < LATE_BYTES;
        let line = scribe.conversation(number, bare);
        out.write_all(line)?;
        written_bytes += line.len() as u64;
    }
    out.flush()
}

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    OpenAi,
    ShareGpt,
}

struct Options {
    size_bytes: u64,
    count: u64,
    seed: u64,
    shape: Shape,
    late: bool,
    varied: bool,
}

impl Options {
    /// `None` where help was asked for.
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Self>, Box<dyn Error>> {
        let (mut size_bytes, mut count) = (None, None);
        let (mut seed, mut shape, mut late) = (1, Shape::OpenAi, false);
        let mut varied = false;
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("`{arg}` needs a value"));
            match arg.as_str() {
                "--size" => size_bytes = Some(parse_size(&value()?)?),
                "--count" => count = Some(parse_number(&value()?)?),
                "--seed" => seed = parse_number(&value()?)?,
                "--shape" => {
                    shape = match value()?.as_str() {
                        "openai" => Shape::OpenAi,
                        "sharegpt" => Shape::ShareGpt,
                        other => Err(format!("`{other}` is neither `openai` nor `sharegpt`"))?,
                    }
                }
                "--late" => late = true,
                "--varied" => varied = true,
                "-h" | "--help" => return Ok(None),
                other => Err(format!("unexpected argument `{other}`; try `--help`"))?,
            }
        }
        let size_when_unsaid = if count.is_some() { u64::MAX } else { DEFAULT_SIZE_BYTES };
        Ok(Some(Self {
            size_bytes: size_bytes.unwrap_or(size_when_unsaid),
            count: count.unwrap_or(u64::MAX),
            seed,
            shape,
            late,
            varied,
        }))
    }
}

fn parse_number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is not a whole number"))
}

fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_bytes = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return Err(format!("`{text}` is not a size such as `500MB`")),
    };
    parse_number(digits)?
        .checked_mul(unit_bytes)
        .ok_or_else(|| format!("`{text}` is too large a size"))
}

/// The generator `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (((self.next() >> 32) * bound as u64) >> 32) as usize
    }

    fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most - least + 1)
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// What text is made of. Everything in it is escaped already, as it stands inside a JSON string.
struct Phrasebook {
    /// A language stands here as often as its weight says.
    languages: Vec<Language>,
    code: Vec<Template>,
    tools: Vec<Tool>,
}

#[derive(Clone)]
struct Language {
    words: Vec<&'static str>,
    space: &'static str,
    comma: &'static str,
    stop: &'static str,
    question: &'static str,
}

struct Tool {
    name: &'static str,
    /// Raw JSON.
    definition: &'static str,
    escaped_definition: String,
    arguments: Template,
    result: Template,
}

/// Text with places for words (`§` in the source) and numbers (`¤`).
struct Template(Vec<Piece>);

enum Piece {
    Text(String),
    Word,
    Number,
}

impl Template {
    fn new(source: &str) -> Self {
        let mut pieces = Vec::new();
        for part in source.split_inclusive(['§', '¤']) {
            let text = part.trim_end_matches(['§', '¤']);
            pieces.push(Piece::Text(escape(text)));
            match part.chars().next_back() {
                Some('§') => pieces.push(Piece::Word),
                Some('¤') => pieces.push(Piece::Number),
                _ => {}
            }
        }
        Self(pieces)
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t")
}

impl Phrasebook {
    fn new() -> Self {
        let languages = LANGUAGES.iter().flat_map(|&(weight, words, marks)| {
            let [space, comma, stop, question] = marks;
            let words = words.split_whitespace().collect();
            let language = Language { words, space, comma, stop, question };
            vec![language; weight]
        });
        let tools = TOOLS.iter().map(|&[name, definition, arguments, result]| Tool {
            name,
            definition,
            escaped_definition: escape(definition),
            arguments: Template::new(arguments),
            result: Template::new(result),
        });
        Self {
            languages: languages.collect(),
            code: CODE.iter().map(|source| Template::new(source)).collect(),
            tools: tools.collect(),
        }
    }
}

/// Writes one conversation after the other into the same buffer.
struct Scribe<'a> {
    shape: Shape,
    varied: bool,
    phrasebook: &'a Phrasebook,
    random: Random,
    line: Vec<u8>,
}

impl<'a> Scribe<'a> {
    /// The line of the conversation, with its end. `bare` leaves tags and tools out.
    fn conversation(&mut self, number: u64, bare: bool) -> &[u8] {
        let language = self.random.pick(&self.phrasebook.languages);
        self.line.clear();
        self.head(number, language, bare);
        let tools = if bare || !self.random.one_in(5) { vec![] } else { self.choose_tools() };
        self.put(match self.shape {
            Shape::OpenAi => r#","messages":["#,
            Shape::ShareGpt => r#","conversations":["#,
        });
        self.messages(language, &tools);
        self.put("]");
        self.tool_definitions(&tools);
        self.put("}\n");
        &self.line
    }

    fn head(&mut self, number: u64, language: &Language, bare: bool) {
        if self.varied {
            let [high, low] = [self.random.next(), self.random.next()];
            self.print(format_args!(r#"{{"id":"{high:016x}{low:016x}","title":""#));
        } else {
            self.print(format_args!(r#"{{"id":"c-{number:09}","title":""#));
        }
        let title_words = self.random.between(2, 6);
        self.words(language, title_words);
        self.put(r#"","tags":["#);
        if !bare {
            for place in 0..self.random.below(4) {
                self.comma(place);
                let tag = self.random.pick(&TAGS);
                self.print(format_args!(r#""{tag}""#));
            }
        }
        let [month, day] = [12, 28].map(|most| self.random.between(1, most));
        let [hour, minute, second] = [24, 60, 60].map(|bound| self.random.below(bound));
        let model = self.random.pick(&MODELS);
        let year = if self.varied { self.random.between(2019, 2026) } else { 2024 };
        self.print(format_args!(
            r#"],"created_at":"{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z","model":"{model}""#
        ));
        if self.varied {
            let kind = ["chat", "chat", "chat", "agent", "graph"][self.random.below(5)];
            let status = match self.random.below(100) {
                0 => "favorite",
                1..=5 => "deleted",
                _ => "active",
            };
            let owner = self.random.below(5000);
            self.print(format_args!(
                r#","type":"{kind}","status":"{status}","user_email":"p{owner}@example.org""#
            ));
        }
    }

    fn choose_tools(&mut self) -> Vec<&'a Tool> {
        let first = self.random.below(self.phrasebook.tools.len());
        let count = self.random.between(1, 4);
        self.phrasebook.tools.iter().cycle().skip(first).take(count).collect()
    }

    fn messages(&mut self, language: &Language, tools: &[&Tool]) {
        let mut room = MOST_MESSAGES;
        if self.random.one_in(3) {
            self.open("system");
            self.sentences(language, 2, 6);
            self.close();
            self.put(",");
            room -= 1;
        }
        let turns = self.random.between(1, MOST_TURNS);
        for turn in 0..turns {
            if room < 2 {
                break;
            }
            self.comma(turn);
            self.open("user");
            self.question(language);
            self.close();
            self.put(",");
            room -= 2;
            if !tools.is_empty() && room > MOST_CALLS && (turn == 0 || self.random.one_in(2)) {
                let calls =
                    if self.random.one_in(3) { self.random.between(2, MOST_CALLS) } else { 1 };
                self.calls_and_results(language, tools, calls);
                self.put(",");
                room -= 1 + calls;
            }
            self.open("assistant");
            self.answer(language);
            self.close();
        }
    }

    fn open(&mut self, role: &str) {
        match self.shape {
            Shape::OpenAi => self.print(format_args!(r#"{{"role":"{role}","content":""#)),
            Shape::ShareGpt => {
                let from = match role {
                    "user" => "human",
                    "assistant" => "gpt",
                    other => other,
                };
                self.print(format_args!(r#"{{"from":"{from}","value":""#));
            }
        }
    }

    fn close(&mut self) {
        self.put(r#""}"#);
    }

    fn calls_and_results(&mut self, language: &Language, tools: &[&Tool], count: usize) {
        let mut calls = Vec::with_capacity(count);
        for _ in 0..count {
            calls.push((*self.random.pick(tools), self.random.next()));
        }
        match self.shape {
            Shape::OpenAi => self.openai_calls(language, &calls),
            Shape::ShareGpt => self.sharegpt_calls(language, &calls),
        }
    }

    fn openai_calls(&mut self, language: &Language, calls: &[(&Tool, u64)]) {
        self.put(r#"{"role":"assistant","content":"#);
        match self.random.below(8) {
            0 => {
                self.put("\"");
                self.sentences(language, 1, 1);
                self.put("\"");
            }
            1..4 => self.put(r#""""#),
            _ => self.put("null"),
        }
        self.put(r#","tool_calls":["#);
        for (place, (tool, id)) in calls.iter().enumerate() {
            let name = tool.name;
            self.comma(place);
            self.print(format_args!(
                r#"{{"id":"call_{id:016x}","type":"function","function":{{"name":"{name}","arguments":""#
            ));
            self.fill(&tool.arguments, language);
            self.put(r#""}}"#);
        }
        self.put("]}");
        for (tool, id) in calls {
            self.print(format_args!(
                r#",{{"role":"tool","tool_call_id":"call_{id:016x}","content":""#
            ));
            self.fill(&tool.result, language);
            self.close();
        }
    }

    /// Several calls, and their results, are in one message each, as arrays.
    fn sharegpt_calls(&mut self, language: &Language, calls: &[(&Tool, u64)]) {
        let (start, end) = if calls.len() > 1 { ("[", "]") } else { ("", "") };
        self.open("function_call");
        self.put(start);
        for (place, (tool, _)) in calls.iter().enumerate() {
            let name = tool.name;
            self.comma(place);
            self.print(format_args!(r#"{{\"name\":\"{name}\",\"arguments\":"#));
            self.fill(&tool.arguments, language);
            self.put("}");
        }
        self.put(end);
        self.close();
        self.put(",");
        self.open("observation");
        self.put(start);
        for (place, (tool, _)) in calls.iter().enumerate() {
            self.comma(place);
            self.fill(&tool.result, language);
        }
        self.put(end);
        self.close();
    }

    fn tool_definitions(&mut self, tools: &[&Tool]) {
        if tools.is_empty() {
            return;
        }
        let (start, end) = match self.shape {
            Shape::OpenAi => (r#","tools":["#, "]"),
            Shape::ShareGpt => (r#","tools":"["#, r#"]""#),
        };
        self.put(start);
        for (place, tool) in tools.iter().enumerate() {
            self.comma(place);
            match self.shape {
                Shape::OpenAi => {
                    let definition = tool.definition;
                    self.print(format_args!(r#"{{"type":"function","function":{definition}}}"#));
                }
                Shape::ShareGpt => self.put(&tool.escaped_definition),
            }
        }
        self.put(end);
    }

    fn question(&mut self, language: &Language) {
        if self.random.one_in(2) {
            self.sentences(language, 1, 4);
            self.put(language.space);
        }
        let count = self.random.between(4, 14);
        self.words(language, count);
        self.put(language.question);
        if self.random.one_in(10) {
            self.code_block(language);
        }
    }

    fn answer(&mut self, language: &Language) {
        self.sentences(language, 1, 5);
        // Most answers are short and a few are long.
        let paragraphs = self.random.below(6).min(self.random.below(6));
        for _ in 0..paragraphs {
            match self.random.below(8) {
                0 => self.code_block(language),
                1 | 2 => self.list(language),
                _ => {
                    self.put(r"\n\n");
                    self.sentences(language, 2, 6);
                }
            }
        }
        if self.random.one_in(5) {
            self.put(" ");
            let emoji = self.random.pick(&EMOJI);
            self.put(emoji);
        }
    }

    fn code_block(&mut self, language: &Language) {
        let code = self.random.pick(&self.phrasebook.code);
        self.put(r"\n\n```");
        self.fill(code, language);
        self.put("```");
    }

    fn list(&mut self, language: &Language) {
        self.put(r"\n");
        for _ in 0..self.random.between(2, 6) {
            self.put(r"\n- ");
            let count = self.random.between(3, 12);
            self.words(language, count);
        }
    }

    fn sentences(&mut self, language: &Language, least: usize, most: usize) {
        for place in 0..self.random.between(least, most) {
            self.put(if place > 0 { language.space } else { "" });
            let count = self.random.between(4, 18);
            self.words(language, count);
            self.put(language.stop);
        }
    }

    /// The hot loop: one random number serves four words.
    fn words(&mut self, language: &Language, count: usize) {
        let words = &language.words;
        let mut bits = 0;
        for place in 0..count {
            if place % 4 == 0 {
                bits = self.random.next();
            }
            let draw = (bits & 0xffff) as usize;
            bits >>= 16;
            if place > 0 {
                self.put(if draw % 16 == 1 { language.comma } else { language.space });
            }
            let word = words[(draw * words.len()) >> 16];
            if draw % 64 == 2 {
                self.put(r#"\""#);
                self.put(word);
                self.put(r#"\""#);
            } else {
                self.put(word);
            }
        }
    }

    fn fill(&mut self, template: &Template, language: &Language) {
        for piece in &template.0 {
            match piece {
                Piece::Text(text) => self.put(text),
                Piece::Word => {
                    let word = self.random.pick(&language.words);
                    self.put(word);
                }
                Piece::Number => {
                    let number = self.random.below(10_000);
                    self.print(format_args!("{number}"));
                }
            }
        }
    }

    fn comma(&mut self, place: usize) {
        if place > 0 {
            self.put(",");
        }
    }

    fn put(&mut self, text: &str) {
        self.line.extend_from_slice(text.as_bytes());
    }

    fn print(&mut self, arguments: fmt::Arguments) {
        // A buffer in memory takes everything.
        let _ = self.line.write_fmt(arguments);
    }
}

/// Weight, words, and the marks between words, inside, after a sentence and after a question.
const LANGUAGES: [(usize, &str, [&str; 4]); 8] = [
    (7, ENGLISH, [" ", ", ", ".", "?"]),
    (2, SPANISH, [" ", ", ", ".", "?"]),
    (2, GERMAN, [" ", ", ", ".", "?"]),
    (4, CHINESE, ["", "，", "。", "？"]),
    (2, JAPANESE, ["", "、", "。", "？"]),
    (1, ARABIC, [" ", "، ", ".", "؟"]),
    (1, HINDI, [" ", ", ", "।", "?"]),
    (1, RUSSIAN, [" ", ", ", ".", "?"]),
];

const ENGLISH: &str = "
the of and to a in that it for with as on be at by this from or an are not have can will if \
one all there which their has would make about how up out many then them these so some her like \
into time look two more write go see number no way could people my than first water been call who \
its now find long down day did get come made may part over new sound take only little work know \
place year live me back give most very after thing our just name good sentence think say great \
where help through much before line right too mean old any same tell boy follow came want show \
also around form three small set put end does another well large must big even such because turn \
here why ask went men read need land different home us move try kind hand picture again change \
off play spell air away animal house point page letter mother answer found study still learn should \
world server request deadline invoice branch recipe garden ticket weather translate function summary \
database quarterly neighbour colleague certificate temperature subscription approximately unfortunately";

const SPANISH: &str = "
de la que el en y a los se del las un por con no una su para es al lo como más o pero sus le ha me \
si sin sobre este ya entre cuando todo esta ser son dos también fue había era muy años hasta desde \
está mi porque qué sólo han yo hay vez puede todos así nos ni parte tiene él uno donde bien tiempo \
mismo ese ahora cada vida otro después otros aunque esa eso hace otra gobierno tan durante siempre \
día tanto ella tres sí dijo sido gran país según menos mundo año antes estado mañana corazón jardín \
información canción niño árbol pingüino camión también canción teléfono página código dirección \
ventana biblioteca desayuno montaña pequeño señal cocina pregunta respuesta reunión factura entrega";

const GERMAN: &str = "
der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden \
aus er hat dass sie nach wird bei einer um am sind noch wie einem über einen so zum war haben nur \
oder aber vor zur bis mehr durch man sein wurde sei hatte kann gegen vom können schon wenn habe \
seine ihre dann unter wir soll ich eines Jahr zwei Jahren diese dieser wieder keine Uhr seiner will \
zwischen immer Millionen was sagte gibt alle seit muss wurden beim doch jetzt waren drei Straße \
Größe Übung Äpfel Frühstück Gemüse Lösung Rückmeldung Überweisung Geschäftsführer Zugverbindung \
Datenbank Rechnung Terminvorschlag Bibliothek Küche schön möglich natürlich wahrscheinlich heißt";

const CHINESE: &str = "
我们 可以 这个 一个 问题 时间 没有 什么 他们 自己 现在 知道 因为 所以 如果 但是 需要 使用 工作 学习 \
生活 朋友 今天 明天 天气 城市 中国 北京 上海 公司 产品 服务 客户 订单 价格 质量 设计 开发 测试 系统 \
数据 文件 网络 手机 电脑 程序 代码 函数 变量 接口 模型 训练 对话 语言 文字 翻译 中文 英文 故事 电影 \
音乐 旅行 机场 酒店 车站 地铁 医院 医生 健康 运动 早餐 晚饭 牛肉 米饭 豆腐 茶叶 咖啡 水果 春天 秋天 \
的 了 是 在 不 和 有 就 也 都 很 会 把 被 从 对 让 请 吗 呢 非常 首先 然后 最后 例如 建议 方法 步骤 注意 \
检查 安装 运行 错误 解决 原因 结果 分析 报告 会议 项目 团队 经理 老师 学生 学校 考试 历史 文化 科学";

const JAPANESE: &str = "
私 あなた これ それ ここ 今日 明日 昨日 時間 仕事 会社 学校 先生 学生 友達 家族 天気 電車 駅 空港 \
旅行 料理 朝食 お茶 コーヒー パン 野菜 果物 音楽 映画 本 新聞 言葉 日本語 英語 翻訳 質問 答え 方法 問題 \
データ ファイル サーバー プログラム コード 関数 変数 テスト エラー ネットワーク システム モデル 会議 予定 \
です ます でした ません します できます ください という ために について から まで より なら けれど そして \
また しかし たとえば まず 次に 最後に とても 少し もっと 新しい 古い 大きい 小さい 高い 安い 早い 遅い \
は が を に で と も の へ や か ね よ 確認 設定 変更 追加 削除 実行 保存 送信 受信 予約 注文 配達 価格 品質";

const ARABIC: &str = "
في من على إلى عن مع هذا هذه ذلك التي الذي كان كانت يكون قد لا ما لم لن إن أن كل بعض غير بعد قبل عند \
حتى ثم أو بين أكثر أقل جدا اليوم غدا أمس الوقت العمل المدرسة الكتاب المدينة البيت الطقس السفر المطار \
الفندق القطار الطعام القهوة الشاي الخبز الماء الصحة الطبيب السؤال الجواب الطريقة المشكلة الحل البيانات \
الملف الشبكة البرنامج الحاسوب الهاتف الرسالة الاجتماع المشروع الفريق المدير الطالب الأستاذ اللغة \
العربية الترجمة القصة الموسيقى الرحلة السعر الجودة الخدمة العميل الطلب التقرير النتيجة الخطوة أولا \
ثانيا أخيرا مثلا ربما يجب يمكن نحتاج نستخدم نكتب نقرأ نعرف نسأل";

const HINDI: &str = "
के है में की को से का और पर यह हैं ने एक भी नहीं तो ही या हो था कि इस कर जो वह आप हम मैं क्या कैसे कब \
कहाँ क्यों लेकिन अगर फिर अब आज कल समय काम घर शहर स्कूल किताब पानी चाय खाना रोटी दाल चावल सब्ज़ी मौसम \
यात्रा ट्रेन स्टेशन हवाई अड्डा होटल अस्पताल डॉक्टर स्वास्थ्य भाषा हिन्दी अनुवाद कहानी संगीत फ़िल्म \
सवाल जवाब तरीका समस्या हल डेटा फ़ाइल नेटवर्क प्रोग्राम कोड कंप्यूटर फ़ोन संदेश बैठक परियोजना टीम छात्र \
शिक्षक कीमत गुणवत्ता सेवा ग्राहक आदेश रिपोर्ट परिणाम पहले बाद बहुत थोड़ा अधिक नया पुराना बड़ा छोटा \
अच्छा ज़रूरी कृपया धन्यवाद उदाहरण चरण जाँच";

const RUSSIAN: &str = "
и в не на я что он с как это по но они мы она так его за только из от бы уже для вот до мне было ещё \
если когда есть может время очень год день человек жизнь дом работа город школа книга вопрос ответ \
погода поезд вокзал аэропорт гостиница завтрак кофе чай хлеб вода здоровье врач язык русский перевод \
история музыка фильм данные файл сеть программа код ошибка решение сообщение встреча проект команда \
студент учитель цена качество услуга клиент заказ отчёт результат сначала потом наконец например \
возможно нужно можно пожалуйста спасибо хорошо новый старый большой маленький сегодня завтра вчера";

const EMOJI: [&str; 10] =
    ["🙂", "🎉", "👍", "🚀", "🌧️", "👩‍🔬", "🇳🇴", "❤️", r"\ud83d\ude80", r"\u2728"];

const TAGS: [&str; 16] = [
    "billing",
    "travel",
    "code review",
    "cooking",
    "homework",
    "weather",
    "translation",
    "planning",
    "旅行",
    "编程",
    "質問",
    "Küche",
    "niños",
    "صحة",
    "यात्रा",
    "работа",
];

const MODELS: [&str; 6] = [
    "gpt-4o",
    "gpt-4o-mini",
    "gemma-2-27b-it",
    "qwen2.5-72b-instruct",
    "llama-3.1-70b-instruct",
    "mistral-large",
];

const CODE: [&str; 6] = [
    "python\ndef total_§(rows):\n    \"\"\"Sum the rows that are not empty.\"\"\"\n    result = ¤\n    for row in rows:\n        if row[\"price\"] is not None:\n            result += row[\"price\"] * 1.¤\n    return result\n",
    "rust\nfn main() -> std::io::Result<()> {\n    let path = r\"C:\\data\\¤.csv\";\n    let text = std::fs::read_to_string(path)?;\n    println!(\"{} lines, {:?}\", text.lines().count(), \"§\\n\");\n    Ok(())\n}\n",
    "bash\nset -euo pipefail\ngrep -rn --include='*.log' \"§\" /var/log/app \\\n  | sed -E 's/\\s+/\\t/g' \\\n  | awk -F'\\t' '{ print $2, \"¤\" }'\n",
    "json\n{\n\t\"name\": \"§\",\n\t\"pattern\": \"^\\\\d{3}-[a-z]+$\",\n\t\"limits\": [¤, ¤, ¤],\n\t\"path\": \"/srv/data/§.json\"\n}\n",
    "sql\nSELECT customer_id, count(*) AS orders, sum(total) AS \"§\"\nFROM orders\nWHERE created_at >= '2024-01-01' AND note NOT LIKE '%\\_draft%'\nGROUP BY customer_id\nHAVING sum(total) > ¤;\n",
    "html\n<article class=\"card\">\n\t<h2>§ &amp; §</h2>\n\t<p>Total: <b>¤</b> €</p>\n\t<a href=\"https://example.org/item?id=¤&amp;lang=de\">more…</a>\n</article>\n",
];

/// Name, definition, arguments and result.
const TOOLS: [[&str; 4]; 8] = [
    [
        "get_weather",
        r#"{"name":"get_weather","description":"The forecast for a city.","parameters":{"type":"object","properties":{"city":{"type":"string","description":"Name of the city"},"days":{"type":"integer","description":"How many days ahead"}},"required":["city"]}}"#,
        r#"{"city":"§","days":¤}"#,
        r#"{"city":"§","celsius":¤,"rain":false,"wind":{"from":"§","kmh":¤.5}}"#,
    ],
    [
        "search_documents",
        r#"{"name":"search_documents","description":"Finds passages that answer a question.","parameters":{"type":"object","properties":{"query":{"type":"string"},"filters":{"type":"object","properties":{"language":{"type":"string"},"after":{"type":"string"}}},"limit":{"type":"integer"}},"required":["query"]}}"#,
        r#"{"query":"§ \"§ §\" §","filters":{"language":"§","after":"2024-01-01"},"limit":¤}"#,
        r#"[{"title":"§ §","page":¤,"text":"§ § § § § § § § § § § §."},{"title":"§ §","page":¤,"text":"§ § § § § § § §\n§ § § § §."}]"#,
    ],
    [
        "create_ticket",
        r#"{"name":"create_ticket","description":"Opens a ticket for the support team.","parameters":{"type":"object","properties":{"title":{"type":"string"},"priority":{"type":"string","enum":["low","normal","high"]},"labels":{"type":"array","items":{"type":"string"}}},"required":["title","priority"]}}"#,
        r#"{"title":"§ § §","priority":"high","labels":["§","§"]}"#,
        r#"{"ok":true,"ticket":"T-¤","url":"https://example.org/tickets/¤"}"#,
    ],
    [
        "convert_currency",
        r#"{"name":"convert_currency","description":"Converts an amount at the rate of the day.","parameters":{"type":"object","properties":{"amount":{"type":"number"},"from":{"type":"string"},"to":{"type":"string"}},"required":["amount","from","to"]}}"#,
        r#"{"amount":¤.25,"from":"EUR","to":"JPY"}"#,
        r#"{"amount":¤.5,"currency":"JPY","rate":1.¤}"#,
    ],
    [
        "run_query",
        r#"{"name":"run_query","description":"Runs a read-only query and returns its rows.","parameters":{"type":"object","properties":{"sql":{"type":"string","description":"One statement, without a semicolon"}},"required":["sql"]}}"#,
        r#"{"sql":"SELECT name, total\nFROM orders\nWHERE region = '§' AND note LIKE '%\"§\"%' LIMIT ¤"}"#,
        r#"{"columns":["name","total"],"rows":[["§",¤.25],["§ §",¤.5],["§",null],["§ §",¤]]}"#,
    ],
    [
        "read_file",
        r#"{"name":"read_file","description":"Returns the text of a file.","parameters":{"type":"object","properties":{"path":{"type":"string"},"first_line":{"type":"integer"},"last_line":{"type":"integer"}},"required":["path"]}}"#,
        r#"{"path":"C:\\Users\\§\\notes-¤.txt","first_line":1,"last_line":¤}"#,
        r##"{"path":"C:\\Users\\§","text":"# §\n\n- § §\n- § § §\n\n\t§: ¤\n\t§: \"¤\"\n"}"##,
    ],
    [
        "send_email",
        r#"{"name":"send_email","description":"Sends an e-mail from the signed-in account.","parameters":{"type":"object","properties":{"to":{"type":"array","items":{"type":"string"}},"subject":{"type":"string"},"body":{"type":"string"}},"required":["to","subject","body"]}}"#,
        r#"{"to":["team-¤@example.org"],"subject":"§ §","body":"§ § § §,\n\n§ § § § § § § §.\n\n§"}"#,
        r#"{"status":"queued","message_id":"¤-¤@example.org"}"#,
    ],
    [
        "list_events",
        r#"{"name":"list_events","description":"The events of a calendar between two days.","parameters":{"type":"object","properties":{"calendar":{"type":"string"},"from":{"type":"string","format":"date"},"to":{"type":"string","format":"date"}},"required":["calendar","from","to"]}}"#,
        r#"{"calendar":"§","from":"2024-03-01","to":"2024-03-08"}"#,
        r#"{"events":[{"id":¤,"title":"§ §","all_day":false},{"id":¤,"title":"§","all_day":true},{"id":¤,"title":"§ § §","all_day":false}]}"#,
    ],
];
