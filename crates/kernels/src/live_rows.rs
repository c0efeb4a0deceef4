//! Gradients with rows of zeros: those of tokens that a loss does not look at.

use rayon::prelude::*;

use crate::host::{Host, TASK, tensor, values};

/// The rows of a gradient that are not zero throughout. Products need them alone, since a row of zeros adds nothing to a weight's
/// gradient and is a row of zeros again behind it.
pub(crate) struct LiveRows {
    /// Rows of the gradient.
    all: usize,
    /// Those among them, ascending; `None` if the others are so few that leaving them out spares nothing.
    live: Option<Vec<usize>>,
}

impl LiveRows {
    /// Those of `[rows, columns]` in row-major order. A row with a value that is not a number is not zero.
    pub(crate) fn of(gradient: &Host) -> Self {
        let (all, columns) = (gradient.layout().shape()[0], gradient.layout().shape()[1].max(1));
        let rows = values(gradient).par_chunks(columns).with_min_len(TASK.div_ceil(columns)).enumerate();
        let live: Vec<usize> =
            rows.filter(|(_, row)| row.iter().any(|&value| value != 0.0)).map(|(index, _)| index).collect();
        // What is copied then is little beside what is spared.
        Self { all, live: (live.len() < all - all / 8).then_some(live) }
    }

    /// These rows of a matrix in row-major order, one after another.
    pub(crate) fn gather(&self, matrix: &Host) -> Host {
        let Some(live) = &self.live else { return matrix.clone() };
        let columns = matrix.layout().shape()[1];
        let mut gathered = vec![0.0; live.len() * columns];
        gathered
            .par_chunks_mut(columns.max(1))
            .with_min_len(TASK.div_ceil(columns.max(1)))
            .zip(live)
            .for_each(|(to, row)| to.copy_from_slice(&values(matrix)[row * columns..][..columns]));
        tensor(gathered, [live.len(), columns])
    }

    /// The matrix whose rows these are, with zeros between them.
    pub(crate) fn spread(&self, rows: Host) -> Host {
        let Some(live) = &self.live else { return rows };
        let columns = rows.layout().shape()[1];
        let mut spread = vec![0.0; self.all * columns];
        for (from, &to) in values(&rows).chunks_exact(columns.max(1)).zip(live) {
            spread[to * columns..][..columns].copy_from_slice(from);
        }
        tensor(spread, [self.all, columns])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(kept: &[usize], all: usize) -> Host {
        let value = |index: usize| if kept.contains(&(index / 2)) { index as f32 } else { 0.0 };
        tensor((0..2 * all).map(value).collect(), [all, 2])
    }

    #[test]
    fn rows_of_zeros_are_left_out_and_put_back() {
        let gradient = rows(&[1, 4, 5], 8);
        let live = LiveRows::of(&gradient);
        assert_eq!(values(&live.gather(&gradient)), [2.0, 3.0, 8.0, 9.0, 10.0, 11.0]);
        assert_eq!(values(&live.spread(live.gather(&gradient))), values(&gradient));
        // Of a matrix of another width, too.
        assert_eq!(values(&live.gather(&tensor((0..8).map(|i| i as f32).collect(), [8, 1]))), [1.0, 4.0, 5.0]);
    }

    #[test]
    fn few_rows_of_zeros_stay() {
        let gradient = rows(&[1, 2, 3, 4, 5, 6, 7], 8);
        assert!(LiveRows::of(&gradient).live.is_none());
        assert!(LiveRows::of(&rows(&[1, 2, 3, 4, 5, 6], 8)).live.is_some());
        assert_eq!(LiveRows::of(&rows(&[], 3)).live.as_deref(), Some(&[][..]));
        assert!(LiveRows::of(&rows(&[], 0)).live.is_none());
    }

    #[test]
    fn what_is_no_number_is_not_zero() {
        let gradient = tensor(vec![0.0, f32::NAN, 0.0, -0.0, 0.0, 0.0], [3, 2]);
        assert_eq!(LiveRows::of(&gradient).live.as_deref(), Some(&[0][..]));
    }
}
