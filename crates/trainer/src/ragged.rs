//! Rows of different lengths, between a packed list and a padded rectangle.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

/// The lengths of a batch's responses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ragged {
    lengths: Vec<usize>,
}

impl Ragged {
    /// From each row's length.
    #[must_use]
    pub const fn new(lengths: Vec<usize>) -> Self {
        Self { lengths }
    }

    /// Each row's length.
    #[must_use]
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.lengths.len()
    }

    /// Number of tokens in all rows.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// Length of the longest row, at least one.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.lengths.iter().copied().max().unwrap_or(0).max(1)
    }

    /// True where a token is. Shape `[rows, longest]`.
    #[must_use]
    pub fn mask(&self, device: &Device) -> Tensor<2, Bool> {
        let longest = self.longest();
        let flags: Vec<bool> = self.lengths.iter().flat_map(|&length| (0..longest).map(move |t| t < length)).collect();
        Tensor::from_data(TensorData::new(flags, [self.rows(), longest]), device)
    }

    /// Spreads packed values out, zero in the padding.
    ///
    /// # Shapes
    /// - `packed`: `[tokens]`
    /// - returns `[rows, longest]`
    #[must_use]
    pub fn pad(&self, packed: Tensor<1>) -> Tensor<2> {
        let (rows, longest, device) = (self.rows(), self.longest(), packed.device());
        if packed.dims()[0] == 0 {
            return Tensor::zeros([rows, longest], &device);
        }
        let mut start = 0;
        let mut places = Vec::with_capacity(rows * longest);
        for &length in &self.lengths {
            places.extend((0..longest).map(|t| if t < length { (start + t) as i64 } else { 0 }));
            start += length;
        }
        let places = Tensor::<1, Int>::from_data(TensorData::new(places, [rows * longest]), &device);
        let padding = self.mask(&device).bool_not();
        packed.select(0, places).reshape([rows, longest]).mask_fill(padding, 0.0)
    }

    /// Packs a rectangle's tokens.
    ///
    /// # Shapes
    /// - `padded`: `[rows, longest]`
    /// - returns `[tokens]`
    #[must_use]
    pub fn pack(&self, padded: Tensor<2>) -> Tensor<1> {
        let (longest, device) = (self.longest(), padded.device());
        let places: Vec<i64> = self
            .lengths
            .iter()
            .enumerate()
            .flat_map(|(row, &length)| (0..length).map(move |t| (row * longest + t) as i64))
            .collect();
        let places = Tensor::<1, Int>::from_data(TensorData::new(places, [self.tokens()]), &device);
        padded.reshape([self.rows() * longest]).select(0, places)
    }

    /// Splits packed host values into rows.
    #[must_use]
    pub fn split<T: Clone>(&self, packed: &[T]) -> Vec<Vec<T>> {
        let mut rest = packed;
        let take = |&length: &usize| {
            let (row, others) = rest.split_at(length);
            rest = others;
            row.to_vec()
        };
        self.lengths.iter().map(take).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_and_packing_are_inverse() {
        let device = Device::default();
        let ragged = Ragged::new(vec![2, 0, 3]);
        let packed = Tensor::<1>::from_floats([1.0, 2.0, 3.0, 4.0, 5.0], &device);
        let padded = ragged.pad(packed.clone());
        let expected = [[1.0_f32, 2.0, 0.0], [0.0, 0.0, 0.0], [3.0, 4.0, 5.0]];
        assert_eq!(padded.to_data(), TensorData::from(expected));
        assert_eq!(ragged.pack(padded).to_data(), packed.to_data());
        assert_eq!(ragged.split(&[1, 2, 3, 4, 5]), vec![vec![1, 2], vec![], vec![3, 4, 5]]);
    }
}
