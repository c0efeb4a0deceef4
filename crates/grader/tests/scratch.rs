use grader::*;
use serde::Deserialize;
#[derive(Deserialize)]
struct Case { id: u32, category: String, prediction: String, gold: String, human: bool, mathruler: bool }
#[test]
fn table() {
    let file = std::env::var("CASES").unwrap();
    let show = std::env::var("SHOW").is_ok();
    let cases: Vec<Case> = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let (mut fa, mut fr, mut ok, mut mr) = (0, 0, 0, 0);
    for c in &cases {
        let t = std::time::Instant::now();
        let g = grade(&c.prediction, &c.gold, Profile::StrictSound);
        let e = t.elapsed();
        let m = grade(&c.prediction, &c.gold, Profile::Mathruler);
        mr += usize::from(m.correct == c.mathruler);
        match (g.correct, c.human) { (true, false) => fa += 1, (false, true) => fr += 1, _ => ok += 1 }
        if show && (g.correct != c.human || e.as_millis() > 5) { eprintln!("{} {} {:?} | {:?} human {} ours {:?} {:?}", c.id, c.category, c.prediction, c.gold, c.human, g, e); }
        if show && m.correct != c.mathruler { eprintln!("   MR {} {:?} | {:?} want {}", c.id, c.prediction, c.gold, c.mathruler); }
    }
    eprintln!("{} cases: strict ok {ok} fa {fa} fr {fr}; mathruler {mr}", cases.len());
}
