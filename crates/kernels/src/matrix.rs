//! Products of matrices that lie inside slices.

use std::mem::MaybeUninit;

use gemm::Parallelism;
use rayon::prelude::*;

/// A matrix inside a slice: element `(i, j)` is `values[i · row_step + j · column_step]`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_step: usize,
    column_step: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of `columns` values each, `step` apart.
    ///
    /// # Panics
    /// If the slice is too short.
    pub(crate) fn new(values: &'a [f32], rows: usize, columns: usize, step: usize) -> Self {
        assert!(
            rows == 0 || columns == 0 || (rows - 1) * step + columns <= values.len(),
            "the matrix lies in the slice"
        );
        Self { values, rows, columns, row_step: step, column_step: 1 }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// Some consecutive rows.
    ///
    /// # Panics
    /// If there are not as many.
    fn some_rows(self, first: usize, rows: usize) -> Self {
        assert!(first + rows <= self.rows, "rows of the matrix");
        // Without columns there are no values to begin at.
        let start = if self.columns == 0 { 0 } else { first * self.row_step };
        Self { values: &self.values[start..], rows, ..self }
    }

    /// Rows and columns exchanged.
    pub(crate) fn transposed(self) -> Self {
        Self { rows: self.columns, columns: self.rows, row_step: self.column_step, column_step: self.row_step, ..self }
    }
}

/// `output = a b`, or `output += a b`, on one core. Rows of the output are `step` apart.
///
/// # Panics
/// If the shapes do not fit.
pub(crate) fn multiply(output: &mut [f32], step: usize, adds: bool, a: Matrix<'_>, b: Matrix<'_>) {
    let (rows, columns) = (a.rows, b.columns);
    if rows == 0 || columns == 0 {
        return;
    }
    assert!(columns <= step || rows == 1, "rows do not overlap");
    assert!((rows - 1) * step + columns <= output.len(), "the product lies in the slice");
    #[expect(unsafe_code, reason = "the library takes pointers; the extent of the output was checked above")]
    // SAFETY: the output is borrowed alone, holds values, and every element written lies in it.
    unsafe {
        multiply_at(Parallelism::None, output.as_mut_ptr(), step, adds, a, b);
    }
}

/// `a b` at `to`, added to what is there if `adds`.
///
/// # Safety
/// Rows of as many values as `b` has columns, as many as `a` has rows and `step` apart, can be written at `to` and belong to
/// nobody else; if `adds`, they hold values.
#[expect(unsafe_code, reason = "the library takes pointers")]
unsafe fn multiply_at(cores: Parallelism, to: *mut f32, step: usize, adds: bool, a: Matrix<'_>, b: Matrix<'_>) {
    assert_eq!(a.columns, b.rows, "inner sizes");
    let (from_a, from_b) = (a.values.as_ptr(), b.values.as_ptr());
    let add = if adds { 1.0 } else { 0.0 };
    // SAFETY: `Matrix` keeps every element that is read inside its slice; the caller answers for the output.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            to,
            1,
            step as isize,
            adds,
            from_a,
            a.column_step as isize,
            a.row_step as isize,
            from_b,
            b.column_step as isize,
            b.row_step as isize,
            add,
            1.0_f32,
            false,
            false,
            false,
            cores,
        );
    }
}

/// What is added to every product.
#[derive(Clone, Copy, Default)]
pub(crate) struct Terms<'a> {
    /// One row, added to all.
    pub(crate) row: Option<&'a [f32]>,
    /// All rows, one after another.
    pub(crate) rows: Option<&'a [f32]>,
}

impl Terms<'_> {
    /// Writes the terms of some rows, from `first` on; zeros if there are none.
    fn write(&self, output: &mut [MaybeUninit<f32>], first: usize, columns: usize) {
        let part = self.rows.map(|rows| &rows[first * columns..][..output.len()]);
        match (part, self.row) {
            (None, None) => output.fill(MaybeUninit::new(0.0)),
            (Some(rows), None) => {
                output.write_copy_of_slice(rows);
            }
            (None, Some(row)) => {
                for output in output.chunks_exact_mut(columns) {
                    output.write_copy_of_slice(row);
                }
            }
            (Some(rows), Some(row)) => {
                for (output, rows) in output.chunks_exact_mut(columns).zip(rows.chunks_exact(columns)) {
                    for ((output, value), other) in output.iter_mut().zip(rows).zip(row) {
                        output.write(value + other);
                    }
                }
            }
        }
    }

    fn is_nothing(&self) -> bool {
        self.row.is_none() && self.rows.is_none()
    }
}

/// `a b` and the terms, on all cores: each takes some rows of the output, which lie one after another. Where there are few
/// rows, the library cuts the product itself.
///
/// It sums small products in other orders than large ones. No part is small, so that how many cores there are changes no sum.
///
/// # Panics
/// If the shapes do not fit.
pub(crate) fn product(a: Matrix<'_>, b: Matrix<'_>, terms: Terms<'_>) -> Vec<f32> {
    /// Rows of a task are a multiple of this, the height of the product's innermost block.
    const BLOCK: usize = 12;
    /// Fewest rows of a task: above 64, all products are summed in the same order.
    const FEWEST: usize = 72;
    let (rows, columns) = (a.rows, b.columns);
    assert_eq!(a.columns, b.rows, "inner sizes");
    assert!(terms.row.is_none_or(|row| row.len() == columns), "a value for each column");
    assert!(terms.rows.is_none_or(|all| all.len() == rows * columns), "a value for each element");
    let mut output = Vec::with_capacity(rows * columns);
    if rows == 0 || columns == 0 {
        return output;
    }
    let places = &mut output.spare_capacity_mut()[..rows * columns];
    let write = |cores: Parallelism, first: usize, a: Matrix<'_>, places: &mut [MaybeUninit<f32>]| {
        let adds = !terms.is_nothing() || a.columns == 0;
        if adds {
            terms.write(places, first, columns);
        }
        #[expect(unsafe_code, reason = "what is not yet a value has no slice of values")]
        // SAFETY: the places are borrowed alone, as many as the product has elements, and hold values if it is added to them.
        unsafe {
            multiply_at(cores, places.as_mut_ptr().cast(), columns, adds, a, b);
        }
    };
    let tasks = rayon::current_num_threads().min(rows / FEWEST);
    if tasks < 2 {
        write(Parallelism::Rayon(0), 0, a, places);
    } else {
        let task = (rows / tasks).next_multiple_of(BLOCK);
        let mut parts = Vec::with_capacity(tasks);
        let (mut first, mut rest) = (0, places);
        while first < rows {
            // What would be left over and small goes with the last.
            let count = if rows - first < task + FEWEST { rows - first } else { task };
            let (part, after) = rest.split_at_mut(count * columns);
            parts.push((first, a.some_rows(first, count), part));
            (first, rest) = (first + count, after);
        }
        parts.into_par_iter().for_each(|(first, a, places)| write(Parallelism::None, first, a, places));
    }
    #[expect(unsafe_code, reason = "the values were written where they lie")]
    // SAFETY: every row was part of a task, which wrote all of it.
    unsafe {
        output.set_len(rows * columns);
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_views() {
        // [[1, 2], [4, 5]] inside rows of three, and its transpose.
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let a = Matrix::new(&values, 2, 2, 3);
        let mut output = [9.0; 5];
        multiply(&mut output, 3, false, a, a.transposed());
        assert_eq!(output, [5.0, 14.0, 9.0, 14.0, 41.0]);
        multiply(&mut output, 3, true, a, a.transposed());
        assert_eq!(output, [10.0, 28.0, 9.0, 28.0, 82.0]);
    }

    #[test]
    fn products_are_added_to_their_terms() {
        let values: Vec<f32> = (0..400).map(|i| (i % 7) as f32).collect();
        let (a, b) = (Matrix::new(&values, 200, 2, 2), Matrix::new(&values, 2, 3, 3));
        let (row, rows) = ([1.0, 2.0, 3.0], vec![0.5; 600]);
        let plain = product(a, b, Terms::default());
        assert_eq!(plain[3..6], [2.0 * 0.0 + 3.0 * 3.0, 2.0 + 3.0 * 4.0, 2.0 * 2.0 + 3.0 * 5.0]);
        let both = product(a, b, Terms { row: Some(&row), rows: Some(&rows) });
        let expected: Vec<f32> = plain.iter().enumerate().map(|(i, value)| value + 0.5 + row[i % 3]).collect();
        assert!(both == expected);
        // Nothing to sum leaves the terms.
        let nothing =
            product(Matrix::new(&[], 200, 0, 0), Matrix::new(&[], 0, 3, 3), Terms { row: Some(&row), rows: None });
        assert!(nothing == row.repeat(200));
        assert!(product(Matrix::new(&[], 2, 0, 0), Matrix::new(&[], 0, 3, 3), Terms::default()) == [0.0; 6]);
        let no_rows = Matrix::new(&[], 0, 200, 200);
        assert!(product(no_rows.transposed(), Matrix::new(&[], 0, 3, 3), Terms::default()) == [0.0; 600]);
    }

    #[test]
    #[should_panic(expected = "lies in the slice")]
    fn a_matrix_must_lie_in_its_slice() {
        Matrix::new(&[0.0; 5], 2, 3, 3);
    }
}
