//! What the commands of LaTeX and the signs of Unicode stand for.

/// The sign a LaTeX command stands for.
pub(super) fn sign_of_command(name: &str) -> Option<char> {
    Some(match name {
        "cdot" | "times" | "ast" | "star" | "bullet" => '*',
        "div" => '÷',
        "pm" => '±',
        "mp" => '∓',
        "le" | "leq" | "leqslant" | "leqq" => '≤',
        "ge" | "geq" | "geqslant" | "geqq" => '≥',
        "lt" => '<',
        "gt" => '>',
        "ne" | "neq" => '≠',
        "approx" | "simeq" | "doteq" => '≈',
        "in" => '∈',
        "cup" | "bigcup" => '∪',
        "cap" => '∩',
        "setminus" | "backslash" | "smallsetminus" => '∖',
        "infty" => '∞',
        "mid" | "vert" | "lvert" | "rvert" => '|',
        "langle" => '⟨',
        "rangle" => '⟩',
        "lbrace" | "{" => '⦃',
        "rbrace" | "}" => '⦄',
        "lbrack" => '[',
        "rbrack" => ']',
        "lfloor" => '⌊',
        "rfloor" => '⌋',
        "lceil" => '⌈',
        "rceil" => '⌉',
        "lor" | "vee" => '∨',
        "land" | "wedge" => '∧',
        "emptyset" | "varnothing" => '∅',
        "colon" => ':',
        "angle" | "measuredangle" => '∠',
        "triangle" => '△',
        "parallel" => '∥',
        "perp" | "bot" => '⊥',
        "cong" => '≅',
        "sim" => '∼',
        "to" | "rightarrow" | "Rightarrow" | "implies" | "longrightarrow" => '→',
        "circ" | "degree" => '°',
        "%" => '%',
        "$" => '$',
        "pounds" => '£',
        "euro" => '€',
        "yen" => '¥',
        "ldots" | "dots" | "cdots" => '…',
        "&" => '&',
        "_" => '_',
        "over" => '⁄',
        "therefore" => '∴',
        "equiv" => '≡',
        _ => return None,
    })
}

/// The letter a LaTeX command stands for.
pub(super) fn is_letter_command(name: &str) -> bool {
    const LETTERS: &str = " alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi \
        rho varrho sigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega \
        ell hbar imath jmath ";
    LETTERS.contains(&format!(" {name} "))
}

/// Commands that only say how to set what follows.
pub(super) fn is_setting(name: &str) -> bool {
    const SETTINGS: &str = " left right middle big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr displaystyle \
        textstyle scriptstyle limits nolimits rm bf it sf mathstrut boxed fbox mathbf boldsymbol bm mathit mathsf mathtt tt ( ) [ ] \
        nobreak large Large underline bold ";
    SETTINGS.contains(&format!(" {name} "))
}

/// Commands that make a blank.
pub(super) fn is_blank(name: &str) -> bool {
    matches!(name, "," | ";" | ":" | "!" | " " | ">" | "quad" | "qquad" | "enspace" | "thinspace" | "space" | "newline")
        || matches!(name, "blacksquare" | "square" | "Box" | "checkmark" | "qed" | "hfill")
}

/// Commands around words.
pub(super) fn is_prose(name: &str) -> bool {
    matches!(
        name,
        "text"
            | "textbf"
            | "textit"
            | "textrm"
            | "textsf"
            | "texttt"
            | "textnormal"
            | "textup"
            | "textsc"
            | "textsl"
            | "mbox"
            | "hbox"
            | "mathrm"
    ) || matches!(name, "operatorname" | "emph" | "unit")
}

/// Commands that put something over a name and make it another.
pub(super) fn is_accent(name: &str) -> bool {
    const ACCENTS: &str = " overline bar vec hat widehat tilde widetilde overrightarrow overleftrightarrow overleftarrow \
        overarc wideparen dot ddot overset frown mathcal mathscr mathfrak mathbb ";
    ACCENTS.contains(&format!(" {name} ")) && name != "overset"
}

/// A function of one argument by its name, with or without the backslash.
pub(super) fn is_function(name: &str) -> bool {
    const FUNCTIONS: &str = " sin cos tan cot sec csc arcsin arccos arctan asin acos atan sinh cosh tanh ln log lg exp sqrt \
        cbrt abs ";
    FUNCTIONS.contains(&format!(" {name} "))
}

/// Whether a letter is one of the Latin alphabet, with or without marks.
pub(super) fn is_latin(c: char) -> bool {
    c.is_ascii_alphabetic() || ('\u{c0}'..='\u{24f}').contains(&c)
}

/// A Unicode character in the alphabet of this crate.
pub(super) fn folded(c: char) -> char {
    match c {
        '×' | '·' | '⋅' | '∙' | '∗' | '•' | '＊' | '✕' => '*',
        '−' | '–' | '—' | '－' | '‒' | '﹣' => '-',
        '⩽' | '≦' => '≤',
        '⩾' | '≧' => '≥',
        '≃' | '≒' => '≈',
        '∘' | 'º' | '˚' => '°',
        '∣' | '｜' => '|',
        '\u{2329}' | '\u{3008}' => '⟨',
        '\u{232a}' | '\u{3009}' => '⟩',
        '’' | '‘' | '′' | 'ʹ' | '`' | '´' => '\'',
        '“' | '”' | '″' => '"',
        'µ' => 'μ',
        '∶' => ':',
        '。' => '.',
        '、' => ',',
        '∕' | '⁄' => '/',
        '￥' => '¥',
        '\u{a0}' | '\u{3000}' | '\u{2009}' | '\u{202f}' | '\u{200a}' | '\u{2002}' | '\u{2003}' => ' ',
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        _ => c,
    }
}

/// The digit or sign that is written raised.
pub(super) fn raised(c: char) -> Option<char> {
    Some(match c {
        '⁰' => '0',
        '¹' => '1',
        '²' => '2',
        '³' => '3',
        '⁴' => '4',
        '⁵' => '5',
        '⁶' => '6',
        '⁷' => '7',
        '⁸' => '8',
        '⁹' => '9',
        '⁻' => '-',
        'ⁿ' => 'n',
        _ => return None,
    })
}

/// The digit that is written lowered.
pub(super) fn lowered(c: char) -> Option<char> {
    ('₀'..='₉').contains(&c).then(|| char::from_u32(u32::from(c) - 0x2080 + 0x30))?
}

/// A fraction that is one character.
pub(super) fn vulgar(c: char) -> Option<(i64, i64)> {
    Some(match c {
        '½' => (1, 2),
        '⅓' => (1, 3),
        '⅔' => (2, 3),
        '¼' => (1, 4),
        '¾' => (3, 4),
        '⅕' => (1, 5),
        '⅖' => (2, 5),
        '⅗' => (3, 5),
        '⅘' => (4, 5),
        '⅙' => (1, 6),
        '⅚' => (5, 6),
        '⅛' => (1, 8),
        '⅜' => (3, 8),
        '⅝' => (5, 8),
        '⅞' => (7, 8),
        _ => return None,
    })
}

/// The name of a Greek letter or another letter-like character.
pub(super) fn letter_like(c: char) -> Option<&'static str> {
    const GREEK: [&str; 25] = [
        "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu",
        "xi", "omicron", "pi", "rho", "varsigma", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
    ];
    match c {
        'α'..='ω' => GREEK.get(usize::try_from(u32::from(c) - u32::from('α')).ok()?).copied(),
        'Δ' | '∆' => Some("Delta"),
        '\u{3a9}' | '\u{2126}' => Some("Omega"),
        'Σ' => Some("Sigma"),
        'Φ' => Some("Phi"),
        'Θ' | 'ϴ' => Some("Theta"),
        'Γ' => Some("Gamma"),
        'Λ' => Some("Lambda"),
        'Π' => Some("Pi"),
        'ϕ' => Some("phi"),
        'ϑ' => Some("theta"),
        'ϵ' => Some("epsilon"),
        'ℓ' => Some("ell"),
        'ℝ' => Some("mathbb(R)"),
        'ℤ' => Some("mathbb(Z)"),
        'ℚ' => Some("mathbb(Q)"),
        'ℕ' => Some("mathbb(N)"),
        'ℂ' => Some("mathbb(C)"),
        _ => None,
    }
}
