//! Sketches of the screens: each picture as a small grid of how much its parts stand out. They are kept in `sketches/` and
//! compared, so that a page that falls apart is noticed, and its sketch shows how it should look.
//!
//! `UPDATE_SCREENS=1` draws them anew; look at the pictures of `RETORT_SCREENSHOTS` before it. Another version of Chromium or
//! other fonts draw other pictures, so they are compared only where both are those of `sketches/drawn-with.txt`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use retort_browser::Browser;
use serde_json::{Value, json};

/// Cells in a row of a sketch. A row is as high as two cells are wide, as characters are.
const COLUMNS: i64 = 48;

/// How much a cell stands out: the first is the background.
const SHADES: &str = " .:-=+*#%@";

/// What comes before a sketch, in letters, which no sketch has.
const HEADING: &str = "Width and scheme: ";

/// How many shades a cell may differ without being another, and the share of others that makes another screen.
const ALIKE: usize = 2;
const OTHERS: f64 = 0.02;

/// The sketches of all screens, by the name of the screen and then by its width and scheme.
#[derive(Default)]
pub struct Sketches {
    drawn: BTreeMap<String, Vec<(String, String)>>,
    drawn_with: String,
}

impl Sketches {
    /// Draws the screen that a browser shows, of which this is the picture.
    pub async fn draw(&mut self, browser: &Browser, name: &str, look: &str, picture: &[u8]) {
        if self.drawn_with.is_empty() {
            let with = browser.client.execute(DRAWN_WITH, Vec::new()).await.unwrap();
            self.drawn_with = with.as_str().unwrap().to_owned();
        }
        let arguments = vec![json!(STANDARD.encode(picture)), json!(COLUMNS), json!(SHADES)];
        let drawn = browser.client.execute_async(DRAW, arguments).await.unwrap();
        let Value::Array(lines) = &drawn else { panic!("{name}: {drawn}") };
        let lines = lines.iter().map(|line| line.as_str().unwrap().trim_end());
        let sketch = lines.collect::<Vec<_>>().join("\n").trim_end().to_owned();
        self.drawn.entry(name.to_owned()).or_default().push((look.to_owned(), sketch));
    }

    /// Compares them with those that are kept.
    pub fn compare(self) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages/sketches");
        let kept_with = folder.join("drawn-with.txt");
        if std::env::var_os("UPDATE_SCREENS").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(kept_with, format!("{}\n", self.drawn_with)).unwrap();
            for (name, looks) in &self.drawn {
                std::fs::write(file(&folder, name), written(looks)).unwrap();
            }
            return;
        }
        let kept_with = std::fs::read_to_string(kept_with).unwrap();
        if kept_with.trim_end() != self.drawn_with {
            eprintln!(
                "passed over: the sketches were drawn with `{}`, not with `{}`",
                kept_with.trim_end(),
                self.drawn_with
            );
            return;
        }
        let mut other = String::new();
        for (name, looks) in &self.drawn {
            let kept = std::fs::read_to_string(file(&folder, name)).unwrap_or_default();
            let kept = parted(&kept);
            for (look, sketch) in looks {
                let before = kept.get(look.as_str()).copied().unwrap_or_default();
                let share = share_of_others(before, sketch);
                if share > OTHERS {
                    let percent = share * 100.0;
                    writeln!(
                        other,
                        "{name}, {look}: {percent:.1} % differ. It was:\n{before}\nIt is:\n{sketch}"
                    )
                    .unwrap();
                }
            }
        }
        assert!(other.is_empty(), "{other}Look at these screens, then run with UPDATE_SCREENS=1.");
    }
}

fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.txt"))
}

/// The sketches of a screen as they are kept.
fn written(looks: &[(String, String)]) -> String {
    looks.iter().map(|(look, sketch)| format!("{HEADING}{look}\n{sketch}\n")).collect()
}

fn parted(kept: &str) -> BTreeMap<&str, &str> {
    let looks = kept.split(HEADING).skip(1).filter_map(|one| one.split_once('\n'));
    looks.map(|(look, sketch)| (look, sketch.trim_end())).collect()
}

/// Of the cells that stand out in either of two sketches, the share that differ by more than [`ALIKE`] shades.
fn share_of_others(one: &str, other: &str) -> f64 {
    let shade = |line: Option<&str>, at: usize| {
        let drawn = line.and_then(|line| line.chars().nth(at)).unwrap_or(' ');
        SHADES.chars().position(|shade| shade == drawn).unwrap_or(0)
    };
    let rows = one.lines().count().max(other.lines().count());
    let (mut all, mut others) = (0.0, 0.0);
    for row in 0..rows {
        let (one, other) = (one.lines().nth(row), other.lines().nth(row));
        for at in 0..usize::try_from(COLUMNS).unwrap() {
            let (one, other) = (shade(one, at), shade(other, at));
            if one.max(other) > 0 {
                all += 1.0;
                others += f64::from(u8::from(one.abs_diff(other) > ALIKE));
            }
        }
    }
    if all == 0.0 { 0.0 } else { others / all }
}

/// The version of the browser, and how wide its fonts draw some words.
const DRAWN_WITH: &str = "const pen = new OffscreenCanvas(1, 1).getContext('2d');
    const wide = (font, words) => { pen.font = `14px ${font}`; return pen.measureText(words).width.toFixed(1) };
    const own = getComputedStyle(document.body).fontFamily;
    const version = /Chrome\\/(\\d+)/.exec(navigator.userAgent)?.[1];
    return `Chromium ${version}, fonts ${wide(own, 'What the model said')}, ${wide(own, '返金')}, ${wide('monospace', 'JSON')}`";

/// Draws a picture: how far each cell is from the background, which is the commonest colour at the edge.
const DRAW: &str = "const [text, columns, shades, done] = arguments;
    const draw = async () => {
        const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
        const whole = await createImageBitmap(new Blob([bytes], {type: 'image/png'}));
        const rows = Math.round(whole.height / whole.width * columns / 2);
        const pen = new OffscreenCanvas(whole.width, whole.height).getContext('2d', {willReadFrequently: true});
        pen.drawImage(whole, 0, 0);
        const { data } = pen.getImageData(0, 0, whole.width, whole.height);
        const light = (at) => 0.3 * data[at] + 0.59 * data[at + 1] + 0.11 * data[at + 2];
        const counts = new Map();
        for (let at = 0; at < data.length; at += 400) {
            const key = Math.round(light(at));
            counts.set(key, (counts.get(key) || 0) + 1);
        }
        const ground = [...counts].sort((one, other) => other[1] - one[1])[0][0];
        const sums = new Float64Array(rows * columns), sizes = new Float64Array(rows * columns);
        for (let y = 0; y < whole.height; y++) {
            const row = Math.min(rows - 1, Math.floor(y * rows / whole.height)) * columns;
            for (let x = 0; x < whole.width; x++) {
                const cell = row + Math.floor(x * columns / whole.width);
                sums[cell] += Math.abs(light(4 * (y * whole.width + x)) - ground);
                sizes[cell] += 1;
            }
        }
        const shade = (at) => shades[Math.min(shades.length - 1, Math.floor(Math.sqrt(sums[at] / sizes[at] / 255) * 14))];
        return Array.from({length: rows}, (_, row) =>
            Array.from({length: columns}, (_, at) => shade(row * columns + at)).join(''));
    };
    draw().then(done, (error) => done(String(error)))";

#[test]
fn a_sketch_is_kept_as_it_was_drawn_and_what_differs_is_counted() {
    let looks = [
        ("800 light".to_owned(), "@@\n== :\n ==".to_owned()),
        ("390 light".to_owned(), String::new()),
    ];
    let kept = written(&looks);
    let kept = parted(&kept);
    for (look, sketch) in &looks {
        assert_eq!(kept[look.as_str()], sketch);
    }
    assert!(share_of_others("@@\n==", "%#\n=+") < f64::EPSILON);
    assert!((share_of_others("@@\n==", "@@") - 0.5).abs() < f64::EPSILON);
    assert!((share_of_others("@@", "@  .") - 1.0 / 3.0).abs() < f64::EPSILON);
}
