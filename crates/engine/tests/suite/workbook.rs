//! XLSX workbooks: their sheets as tables.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use retort_engine::Input;
use serde_json::Value;
use zip::write::SimpleFileOptions;

use crate::support::{Bench, records, run};

const RELATIONS: &str = r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="x" Target="worksheets/sheet1.xml"/><Relationship Id="rId2" Type="x" Target="/xl/worksheets/sheet2.xml"/></Relationships>"#;

const SHARED: &str = r#"<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>question</t></si><si><t>answer</t></si><si><r><t xml:space="preserve">Tom &amp; </t></r><r><t>Ann&#x3f;</t></r><rPh sb="0" eb="1"><t>aid</t></rPh></si><si><t>A line,
"another"_x000D_</t></si><si/></sst>"#;

const STYLES: &str = r#"<styleSheet><numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\-mm\-dd\ hh:mm"/><numFmt numFmtId="165" formatCode="[Red]0.0&quot;days&quot;"/></numFmts><cellStyleXfs><xf numFmtId="14"/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/><xf numFmtId="165"/></cellXfs></styleSheet>"#;

const ROWS: &str = r#"<row r="1"/><row r="2"><c r="A2" t="s"><v>0</v></c><c r="B2" t="s"><v>1</v></c><c r="D2" t="inlineStr"><is><t>on</t></is></c><c r="E2" t="str"><v>at</v></c><c r="F2" t="str"><v>days</v></c><c t="str"><v>good</v></c></row>
<row r="4"><c r="A4" t="s"><v>2</v></c><c r="B4" t="s"><f>B1&amp;""</f><v>3</v></c><c r="D4" s="1"><v>45123</v></c><c r="E4" s="2"><v>45123.5</v></c><c r="F4" s="3"><v>3.5</v></c><c r="G4" t="b"><v>1</v></c></row>"#;

/// A workbook with a sheet of settings and one of these rows.
fn workbook(bench: &Bench, name: &str, rows: &str, only: bool) -> PathBuf {
    let path = bench.path(name);
    let sheet = |rows: &str| {
        format!(
            r#"<?xml version="1.0"?><worksheet xmlns="http://x"><sheetData>{rows}</sheetData></worksheet>"#
        )
    };
    let settings = r#"<row><c t="inlineStr"><is><t>key</t></is></c></row><row><c t="inlineStr"><is><t>theme</t></is></c></row>"#;
    let sheets = if only { "" } else { r#"<sheet name="Settings" sheetId="1" r:id="rId1"/>"# };
    let book = format!(
        r#"<workbook xmlns:r="http://r"><workbookPr/><sheets>{sheets}<sheet name="Pairs" sheetId="2" r:id="rId2"/></sheets></workbook>"#
    );
    let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
    for (name, text) in [
        ("[Content_Types].xml", "<Types/>"),
        ("xl/workbook.xml", &book),
        ("xl/_rels/workbook.xml.rels", RELATIONS),
        ("xl/sharedStrings.xml", SHARED),
        ("xl/styles.xml", STYLES),
        ("xl/worksheets/sheet1.xml", &sheet(settings)),
        ("xl/worksheets/sheet2.xml", &sheet(rows)),
    ] {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
    path
}

/// The records of a file in the shape that keeps everything, and the rejects.
fn read(bench: &Bench, path: &Path) -> (Vec<Value>, Vec<Value>) {
    let plan = bench.plan(vec![Input::Path(path.to_owned())], &[("data_format", "retort")]);
    match run(&plan) {
        (Ok(_), rejects) => (records(&plan), rejects),
        (Err(_), rejects) => (Vec::new(), rejects),
    }
}

#[test]
fn each_sheet_is_read_like_a_table() {
    let bench = Bench::new();
    let (records, rejects) = read(&bench, &workbook(&bench, "pairs.xlsx", ROWS, false));
    assert_eq!(rejects, Vec::<Value>::new());
    let [record] = records.as_slice() else { panic!("{records:?}") };
    let messages = &record["rounds"][0]["messages"];
    assert_eq!(messages[0]["content"], "Tom & Ann?");
    assert_eq!(messages[1]["content"], "A line,\n\"another\"\r");
    let metadata = &record["metadata"];
    assert_eq!(metadata["on"], "2023-07-16");
    assert_eq!(metadata["at"], "2023-07-16T12:00:00");
    assert_eq!((&metadata["days"], &metadata["good"]), (&"3.5".into(), &"true".into()));
}

#[test]
fn a_workbook_without_histories_or_with_damage_is_refused() {
    let bench = Bench::new();
    let row = r#"<row><c t="inlineStr"><is><t>price</t></is></c></row><row><c><v>3</v></c></row>"#;
    let broken = format!("{ROWS}<row r=\"5\"><c r=\"A5\" t=\"s\"></row>");
    let attributes: String = (0..101).map(|n| format!(" a{n}=\"\"")).collect();
    let wide = format!("<row><c{attributes}><v>3</v></c></row>");
    for (name, rows, words) in [
        ("prices.xlsx", row, "`price`"),
        ("broken.xlsx", &broken, "the workbook is damaged"),
        ("wide.xlsx", &wide, "more than 100 attributes"),
    ] {
        let path = workbook(&bench, name, rows, true);
        let (report, _) = run(&bench.plan(vec![Input::Path(path)], &[("data_format", "retort")]));
        let told = report.unwrap_err().to_string();
        assert!(told.contains(words), "{told}");
    }
}
