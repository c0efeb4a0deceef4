//! The released grader's verdicts, quirks included.
//!
//! # Source
//! `grade_answer` of the mathruler package 0.1.0, itself that of PRM800K: the answers are equal in the normal form of the MATH data set,
//! or in a normal form of its own, or sympy proves the difference of every element zero. The normal forms are rebuilt step by step;
//! sympy is replaced by this crate's algebra, and pylatexenc by the part of it that answers use.

mod latex;
mod math;
mod normal;
mod python;
mod symbols;

use crate::algebra::equal;
use crate::fuel::{Failure, Fuel, LONGEST_READ};
use crate::{Grade, Ground};

pub(crate) fn grade(prediction: &str, gold: &str) -> Grade {
    if math::normalized(prediction) == math::normalized(gold) {
        return Grade { correct: true, ground: Ground::Text };
    }
    let (given, truth) = (normal::normalized(prediction), normal::normalized(gold));
    if given == truth {
        return Grade { correct: true, ground: Ground::Text };
    }
    if given.len().max(truth.len()) > LONGEST_READ {
        return Grade { correct: false, ground: Ground::Refused };
    }
    match same_elements(&given, &truth) {
        Ok(true) => Grade { correct: true, ground: Ground::Value },
        Ok(false) => Grade { correct: false, ground: Ground::Different },
        Err(Failure::Refused) => Grade { correct: false, ground: Ground::Refused },
        Err(Failure::Unread | Failure::Undefined) => Grade { correct: false, ground: Ground::Unread },
    }
}

fn same_elements(given: &str, truth: &str) -> Result<bool, Failure> {
    if given.is_empty() {
        return Ok(false);
    }
    let (truths, givens) = (normal::elements(truth), normal::elements(given));
    let ends = |text: &str| (text.chars().next(), text.chars().next_back());
    if (truths.len() > 1 && ends(truth) != ends(given)) || truths.len() != givens.len() {
        return Ok(false);
    }
    let fuel = Fuel::new();
    for (truth, given) in truths.iter().zip(&givens) {
        let same = if normal::is_fraction(truth) && normal::is_fraction(given) {
            truth == given
        } else if normal::is_whole(truth) != normal::is_whole(given) {
            false
        } else {
            python::may_evaluate(truth, given)
                && equal(&python::expression(truth)?, &python::expression(given)?, &fuel)?
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}
