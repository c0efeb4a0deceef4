//! Products of matrices that lie inside slices.

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
        Self { values: &self.values[first * self.row_step..], rows, ..self }
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
    multiply_by(Parallelism::None, output, step, adds, a, b);
}

fn multiply_by(cores: Parallelism, output: &mut [f32], step: usize, adds: bool, a: Matrix<'_>, b: Matrix<'_>) {
    assert_eq!(a.columns, b.rows, "inner sizes");
    let (rows, columns) = (a.rows, b.columns);
    if rows == 0 || columns == 0 {
        return;
    }
    assert!(columns <= step || rows == 1, "rows do not overlap");
    assert!((rows - 1) * step + columns <= output.len(), "the product lies in the slice");
    let (to, from_a, from_b) = (output.as_mut_ptr(), a.values.as_ptr(), b.values.as_ptr());
    let add = if adds { 1.0 } else { 0.0 };
    #[expect(unsafe_code, reason = "the library takes pointers; the extents of all three were checked above")]
    // SAFETY: `Matrix` and the assertions keep every element inside its slice, and `output` is borrowed alone.
    unsafe {
        gemm::gemm(
            rows,
            columns,
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

/// `output = a b` or `output += a b` as [`multiply`], on all cores: each takes some rows of the output, which lie one after
/// another. Where there are few rows, the library cuts the product itself.
///
/// It sums small products in other orders than large ones. No part is small, so that how many cores there are changes no sum.
///
/// # Panics
/// If the shapes do not fit.
pub(crate) fn multiply_on_all_cores(output: &mut [f32], adds: bool, a: Matrix<'_>, b: Matrix<'_>) {
    /// Rows of a task are a multiple of this, the height of the product's innermost block.
    const BLOCK: usize = 12;
    /// Fewest rows of a task: above 64, all products are summed in the same order.
    const FEWEST: usize = 72;
    let (rows, columns) = (a.rows, b.columns);
    if rows == 0 || columns == 0 {
        return;
    }
    let tasks = rayon::current_num_threads().min(rows / FEWEST);
    if tasks < 2 {
        multiply_by(Parallelism::Rayon(0), output, columns, adds, a, b);
        return;
    }
    let task = (rows / tasks).next_multiple_of(BLOCK);
    let mut parts = Vec::with_capacity(tasks);
    let (mut first, mut rest) = (0, &mut output[..rows * columns]);
    while first < rows {
        // What would be left over and small goes with the last.
        let count = if rows - first < task + FEWEST { rows - first } else { task };
        let (part, after) = rest.split_at_mut(count * columns);
        parts.push((a.some_rows(first, count), part));
        (first, rest) = (first + count, after);
    }
    parts.into_par_iter().for_each(|(a, output)| multiply(output, columns, adds, a, b));
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
    #[should_panic(expected = "lies in the slice")]
    fn a_matrix_must_lie_in_its_slice() {
        Matrix::new(&[0.0; 5], 2, 3, 3);
    }
}
