//! What numbers are numbers of.

use std::collections::BTreeMap;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Pow, ToPrimitive};

use super::token::{Kind, Token};
use super::{formula, phrase};

/// A product of powers of base units, and how many of it one unit is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) factor: BigRational,
    pub(super) powers: BTreeMap<String, i32>,
}

/// Name, base unit, power of the base unit, how many: `numerator / denominator`.
type Row = (&'static str, &'static str, i32, i64, i64);

/// Units by their writing. The first field lists all writings of one unit.
const UNITS: &[Row] = &[
    ("m meter meters metre metres", "metre", 1, 1, 1),
    ("km kilometer kilometers kilometre kilometres kms", "metre", 1, 1000, 1),
    ("dm decimeter decimeters decimetre decimetres", "metre", 1, 1, 10),
    ("cm centimeter centimeters centimetre centimetres cms", "metre", 1, 1, 100),
    ("mm millimeter millimeters millimetre millimetres", "metre", 1, 1, 1000),
    ("nm nanometer nanometers", "metre", 1, 1, 1_000_000_000),
    ("in inch inches", "inch", 1, 1, 1),
    ("ft foot feet", "inch", 1, 12, 1),
    ("yd yard yards", "inch", 1, 36, 1),
    ("mi mile miles", "inch", 1, 63360, 1),
    ("ha hectare hectares", "metre", 2, 10000, 1),
    ("acre acres", "acre", 1, 1, 1),
    ("L l liter liters litre litres", "metre", 3, 1, 1000),
    ("mL ml milliliter milliliters millilitre millilitres", "metre", 3, 1, 1_000_000),
    ("gal gallon gallons", "gallon", 1, 1, 1),
    ("g gram grams", "gram", 1, 1, 1),
    ("kg kilogram kilograms kgs", "gram", 1, 1000, 1),
    ("mg milligram milligrams", "gram", 1, 1, 1000),
    ("ton tons tonne tonnes", "gram", 1, 1_000_000, 1),
    ("lb lbs pound pounds", "pound", 1, 1, 1),
    ("oz ounce ounces", "ounce", 1, 1, 1),
    ("s sec secs second seconds", "second", 1, 1, 1),
    ("ms millisecond milliseconds", "second", 1, 1, 1000),
    ("min mins minute minutes", "second", 1, 60, 1),
    ("h hr hrs hour hours", "second", 1, 3600, 1),
    ("day days", "second", 1, 86400, 1),
    ("week weeks", "second", 1, 604_800, 1),
    ("month months", "month", 1, 1, 1),
    ("yr yrs year years", "month", 1, 12, 1),
    ("deg degree degrees °", "degree", 1, 1, 1),
    ("rad radian radians", "radian", 1, 1, 1),
    ("dollar dollars usd $", "dollar", 1, 1, 1),
    ("cent cents ¢", "dollar", 1, 1, 100),
    ("euro euros €", "euro", 1, 1, 1),
    ("£", "sterling", 1, 1, 1),
    ("yuan yen rmb ¥ 元", "yuan", 1, 1, 1),
    ("N newton newtons", "newton", 1, 1, 1),
    ("J joule joules", "joule", 1, 1, 1),
    ("W watt watts", "watt", 1, 1, 1),
    ("V volt volts", "volt", 1, 1, 1),
    ("A amp amps ampere amperes", "ampere", 1, 1, 1),
    ("Ω Omega ohm ohms", "ohm", 1, 1, 1),
    ("C coulomb coulombs", "coulomb", 1, 1, 1),
    ("Hz hertz", "hertz", 1, 1, 1),
    ("Pa pascal pascals", "pascal", 1, 1, 1),
    ("K kelvin", "kelvin", 1, 1, 1),
    ("mol mole moles", "mole", 1, 1, 1),
    ("unit units", "unit", 1, 1, 1),
    ("eV", "electronvolt", 1, 1, 1),
    ("cal calorie calories", "calorie", 1, 1, 1),
    ("kcal", "calorie", 1, 1000, 1),
    ("度", "degree", 1, 1, 1),
    ("米", "metre", 1, 1, 1),
    ("千米 公里", "metre", 1, 1000, 1),
    ("分米", "metre", 1, 1, 10),
    ("厘米", "metre", 1, 1, 100),
    ("毫米", "metre", 1, 1, 1000),
    ("平方米", "metre", 2, 1, 1),
    ("平方厘米", "metre", 2, 1, 10000),
    ("立方厘米", "metre", 3, 1, 1_000_000),
    ("克", "gram", 1, 1, 1),
    ("千克 公斤", "gram", 1, 1000, 1),
    ("秒", "second", 1, 1, 1),
    ("分钟", "second", 1, 60, 1),
    ("小时", "second", 1, 3600, 1),
    ("天", "second", 1, 86400, 1),
];

/// Units that take any prefix in front of their sign.
const PREFIXED: [&str; 12] = ["m", "g", "s", "L", "N", "J", "W", "V", "A", "Hz", "Pa", "eV"];

/// Prefixes and the powers of ten they stand for.
const PREFIXES: [(&str, i32); 8] =
    [("n", -9), ("μ", -6), ("u", -6), ("m", -3), ("c", -2), ("k", 3), ("M", 6), ("G", 9)];

/// Units with a name of their own that are quotients of others.
const SPEEDS: [(&str, &str, &str); 3] = [("mph", "mi", "h"), ("kph", "km", "h"), ("kmh", "km", "h")];

fn known(name: &str) -> Option<Unit> {
    if let Some((_, above, below)) = SPEEDS.iter().find(|(speed, ..)| *speed == name) {
        return Some(listed(above)?.times(listed(below)?.raised_to(-1)));
    }
    listed(name).or_else(|| {
        let (prefix, base) = name.split_at_checked(name.chars().next()?.len_utf8())?;
        let (_, power) = PREFIXES.iter().find(|(sign, _)| *sign == prefix)?;
        PREFIXED.contains(&base).then_some(())?;
        let mut unit = listed(base)?;
        unit.factor *= BigRational::from_integer(BigInt::from(10)).pow(*power);
        Some(unit)
    })
}

fn listed(name: &str) -> Option<Unit> {
    let find = |name: &str| UNITS.iter().find(|row| row.0.split(' ').any(|writing| writing == name));
    let long = name.chars().count() > 2;
    let row = find(name).or_else(|| long.then(|| find(&name.to_lowercase()))?)?;
    let factor = BigRational::new(BigInt::from(row.3), BigInt::from(row.4));
    Some(Unit { factor, powers: BTreeMap::from([(row.1.to_owned(), row.2)]) })
}

impl Unit {
    /// What is counted, as in `5 apples`: a unit of no size known.
    fn counted(words: &[&str]) -> Self {
        let name = words.iter().map(|word| singular(&word.to_lowercase())).collect::<Vec<_>>().join(" ");
        Self { factor: BigRational::one(), powers: BTreeMap::from([(name, 1)]) }
    }

    pub(super) fn is_degree(&self) -> bool {
        self.is_just("degree")
    }

    pub(super) fn is_radian(&self) -> bool {
        self.is_just("radian")
    }

    fn is_just(&self, name: &str) -> bool {
        self.powers.len() == 1 && self.powers.get(name) == Some(&1)
    }

    fn raised_to(mut self, exponent: i32) -> Self {
        self.factor = self.factor.pow(exponent);
        self.powers.values_mut().for_each(|power| *power *= exponent);
        self
    }

    pub(super) fn times(mut self, other: Self) -> Self {
        self.factor *= other.factor;
        for (name, power) in other.powers {
            *self.powers.entry(name).or_insert(0) += power;
        }
        self
    }
}

fn singular(word: &str) -> String {
    const IRREGULAR: [(&str, &str); 5] =
        [("people", "person"), ("men", "man"), ("women", "woman"), ("children", "child"), ("mice", "mouse")];
    if let Some((_, one)) = IRREGULAR.iter().find(|(many, _)| *many == word) {
        return (*one).to_owned();
    }
    word.strip_suffix("es")
        .filter(|stem| ["s", "x", "ch", "sh"].iter().any(|end| stem.ends_with(end)))
        .or_else(|| word.strip_suffix('s').filter(|stem| !stem.ends_with('s') && stem.len() > 2))
        .unwrap_or(word)
        .to_owned()
}

/// Reads a whole slice as a unit: `cm^2`, `km/h`, `square units`, `°`.
pub(super) fn read(tokens: &[Token]) -> Option<Unit> {
    let mut at = 0;
    let mut whole: Option<Unit> = None;
    let mut divides = false;
    while at < tokens.len() {
        let token = &tokens[at];
        // A quotient may start with its sign, as in `7 per hour`; `7/h` is rather one of variables.
        let names_rate = tokens.get(1).and_then(Token::word).is_some_and(|word| word.chars().count() > 2);
        let starts_over = (at > 0 && token.is_any("/*-.")) || token.reads("per") || (token.is('/') && names_rate);
        if starts_over {
            divides = token.is('/') || token.reads("per");
            at += 1;
            continue;
        }
        let (unit, used) = factor(&tokens[at..])?;
        let unit = if divides { unit.raised_to(-1) } else { unit };
        whole = Some(match whole {
            Some(whole) => whole.times(unit),
            None => unit,
        });
        divides = false;
        at += used;
    }
    let last = tokens.last()?;
    if last.is_any("/*-") || last.reads("per") { None } else { whole }
}

fn factor(tokens: &[Token]) -> Option<(Unit, usize)> {
    let first = &tokens[0];
    let (prefix, start) = match first.word().map(str::to_lowercase).as_deref() {
        Some("square" | "sq") => (2, 1),
        Some("cubic" | "cu") => (3, 1),
        _ => (1, 0),
    };
    let start = start + usize::from(start == 1 && tokens.get(1).is_some_and(|token| token.is('.')));
    let name = tokens.get(start)?;
    if name.is('°') || name.reads("degrees") || name.reads("degree") {
        let scale = match tokens.get(start + 1).and_then(Token::word).map(str::to_lowercase).as_deref() {
            Some("c" | "celsius") => Some("C"),
            Some("f" | "fahrenheit") => Some("F"),
            _ => None,
        };
        if let Some(scale) = scale {
            let powers = BTreeMap::from([(format!("degree {scale}"), 1)]);
            return Some((Unit { factor: BigRational::one(), powers }, start + 2));
        }
    }
    let unit = match &name.kind {
        // A micrometre and its like begin with a letter of their own.
        Kind::Symbol(micro) if micro == "mu" => {
            let base = tokens.get(start + 1).filter(|base| !base.spaced).and_then(Token::word)?;
            let (power, used) = power(&tokens[start + 2..]);
            return Some((known(&format!("μ{base}"))?.raised_to(prefix * power), start + 2 + used));
        }
        Kind::Sign(sign) => known(&sign.to_string())?,
        Kind::Word(word) | Kind::Symbol(word) => known(word)?,
        _ => return None,
    };
    let (power, used) = power(&tokens[start + 1..]);
    Some((unit.raised_to(prefix * power), start + 1 + used))
}

/// The small whole exponent at the start, and its length.
fn power(tokens: &[Token]) -> (i32, usize) {
    let small = |token: &Token| match &token.kind {
        Kind::Number(value) if value.is_integer() => value.numer().to_i32().filter(|power| *power <= 4),
        _ => None,
    };
    let read = match tokens {
        [caret, power, ..] if caret.is('^') && small(power).is_some() => small(power).map(|power| (power, 2)),
        [caret, open, power, close, ..] if caret.is('^') && open.is('{') && close.is('}') => {
            small(power).map(|power| (power, 4))
        }
        [caret, open, minus, power, close, ..] if caret.is('^') && open.is('{') && minus.is('-') && close.is('}') => {
            small(power).map(|power| (-power, 5))
        }
        [power, ..] if !power.spaced && small(power).is_some_and(|power| matches!(power, 2 | 3)) => {
            small(power).map(|power| (power, 1))
        }
        [squared, ..] if squared.reads("squared") => Some((2, 1)),
        [cubed, ..] if cubed.reads("cubed") => Some((3, 1)),
        _ => None,
    };
    read.unwrap_or((1, 0))
}

/// Where the unit at the end of `tokens` starts, and the unit. A unit of one letter must stand apart from the number, except metres and
/// grams; words that are no unit count as what is counted.
pub(super) fn at_end(tokens: &[Token]) -> Option<(usize, Unit)> {
    // The age of somebody is a time.
    let tokens = match tokens {
        [rest @ .., unit, old] if old.reads("old") && (unit.reads("years") || unit.reads("months")) => {
            &tokens[..=rest.len()]
        }
        tokens => tokens,
    };
    let follows_value = |at: usize| {
        let before = &tokens[at - 1];
        matches!(before.kind, Kind::Number(_) | Kind::Symbol(_)) || before.is_any(")}]") || before.word().is_some()
    };
    let stands_apart = |token: &Token| {
        let glued = !token.spaced && !token.prose;
        match &token.kind {
            Kind::Word(word) if word.len() == 1 => !glued || matches!(&**word, "m" | "g"),
            Kind::Symbol(name) => !glued || name == "mu",
            _ => true,
        }
    };
    let candidates = (1..tokens.len()).filter(|at| tokens.len() - at <= 12 && follows_value(*at));
    for at in candidates {
        if stands_apart(&tokens[at])
            && let Some(unit) = read(&tokens[at..])
        {
            return Some((at, unit));
        }
    }
    counted(tokens)
}

/// A number and then one or two words.
fn counted(tokens: &[Token]) -> Option<(usize, Unit)> {
    let (first, rest) = tokens.split_first()?;
    let words: Option<Vec<&str>> = rest.iter().map(Token::word).collect();
    let words = words?;
    let is_thing = |word: &&str| {
        const NOT_THINGS: &str = " more less than not times over plus minus percent percents half halves third thirds \
            quarter quarters dozen dozens pair pairs squared cubed and or to of the if when for with pi sqrt sin cos tan log \
            tens hundred hundreds thousand thousands million millions billion billions trillion trillions hundredth hundredths \
            thousandth thousandths approximately about point each infinity negative positive below above under short ago fold \
            factorial root roots power percentage permille mod modulo base degree remainder per ";
        const NOT_COUNTERS: &str = "万亿千百十半分多倍几点时月日号年";
        let is_counter = word.chars().all(|c| !c.is_ascii() && !NOT_COUNTERS.contains(c));
        let lower = word.to_lowercase();
        (word.chars().count() >= 3 && !NOT_THINGS.contains(&format!(" {lower} ")) && phrase::part(&lower).is_none())
            || is_counter
    };
    let is_count = matches!(first.kind, Kind::Number(_)) && (1..=2).contains(&words.len());
    let are_words =
        words.iter().all(|word| is_thing(word) && (formula::is_word(word) || rest[0].prose || rest[0].spaced));
    let is_upper = words.iter().any(|word| word.chars().all(char::is_uppercase));
    (is_count && are_words && !is_upper).then(|| (1, Unit::counted(&words)))
}
