//! A template and a problem of any bytes: refused, or rendered with the problem in it.

#![no_main]

use dataset::Template;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str)| {
    let (text, problem) = input;
    if let Ok(template) = Template::new(text) {
        // It may fail on this very problem, but not more than that.
        let _ = template.render(problem);
    }
    let plain = Template::default().render(problem).expect("a template without a trick takes any problem");
    assert_eq!(plain, problem);
});
