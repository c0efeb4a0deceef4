//! Which responses answer the same prompt.

use burn::tensor::{Bool, Device, FloatDType, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::{CreditError, Evidence};

/// Sizes of consecutive groups: the first `sizes[0]` rows of a batch answer one prompt, the next `sizes[1]` another.
///
/// Groups may differ in size; none is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    sizes: Vec<usize>,
}

impl Groups {
    /// Takes the sizes in the order of the rows.
    ///
    /// # Errors
    /// [`CreditError::EmptyGroup`] if a size is 0.
    pub fn new(sizes: Vec<usize>) -> Result<Self, CreditError> {
        match sizes.iter().position(|&size| size == 0) {
            Some(group) => Err(CreditError::EmptyGroup { group }),
            None => Ok(Self { sizes }),
        }
    }

    /// The sizes, each at least 1.
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// Number of rows in all groups together.
    pub fn responses(&self) -> usize {
        self.sizes.iter().fold(0, |total, &size| total.saturating_add(size))
    }
}

/// What to do with a prompt that was answered only once, so that nothing can be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupOfOne {
    /// Its advantage is 0: it teaches nothing.
    #[default]
    Zero,
    /// Its reward counts as it is, as if the group had mean 0 and deviation 1. So does verl.
    Raw,
    /// It is an error.
    Refuse,
}

impl GroupOfOne {
    fn check(self, groups: &Groups) -> Result<(), CreditError> {
        match groups.sizes.iter().position(|&size| size == 1) {
            Some(group) if self == Self::Refuse => Err(CreditError::GroupOfOne { group }),
            _ => Ok(()),
        }
    }
}

/// Which standard deviation tells how far the rewards of a group lie apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deviation {
    /// Divides by members - 1.
    #[default]
    Sample,
    /// Divides by members.
    Population,
}

/// Rewards less the mean of their group, one group per row.
///
/// Groups shorter than the widest are filled up with absent cells, so that group statistics are statistics along one axis:
/// no sum depends on the order in which a device visits the rows, and a reward that is not a number stays in its group.
pub(crate) struct CenteredRewards {
    /// `[groups, widest]`; 0 in absent cells, and exactly 0 where all rewards of a group are equal. A group of one holds its
    /// bare reward if it counts as it is.
    pub(crate) values: Tensor<2>,
    /// `[groups, widest]`: true where no response is.
    pub(crate) absent: Tensor<2, Bool>,
    /// `[groups, 1]`: members of each group.
    pub(crate) sizes: Tensor<2>,
    /// `[responses]`: the cell that holds each response.
    cells: Tensor<1, Int>,
}

impl CenteredRewards {
    /// Compares the rewards of each group.
    pub(crate) fn new(evidence: &Evidence, group_of_one: GroupOfOne) -> Result<Self, CreditError> {
        let groups = evidence.groups();
        group_of_one.check(groups)?;
        let device = evidence.rewards().device();
        let sizes = groups.sizes();
        let widest = sizes.iter().copied().max().unwrap_or(0);
        let mut members = Vec::with_capacity(sizes.len() * widest);
        let mut absent = Vec::with_capacity(sizes.len() * widest);
        let mut cells = Vec::with_capacity(groups.responses());
        let mut first = 0;
        for (group, &size) in sizes.iter().enumerate() {
            // An absent cell repeats the first member, so that the lowest reward of a row is the lowest of its group.
            members.extend((0..widest).map(|member| first + if member < size { member } else { 0 }));
            absent.extend((0..widest).map(|member| member >= size));
            cells.extend((0..size).map(|member| group * widest + member));
            first += size;
        }
        let shape = [sizes.len(), widest];
        let rewards = evidence.total_rewards().select(0, indices(members, &device)).reshape(shape);
        let absent = Tensor::<2, Bool>::from_data(TensorData::new(absent, shape), &device);
        let sizes = indices(sizes.to_vec(), &device).cast(FloatDType::F32).reshape([shape[0], 1]);

        // Counting from the lowest reward makes equal rewards exactly 0 and costs no digits when rewards share an offset.
        let lowest = rewards.clone().min_dim(1);
        let above = (rewards.clone() - lowest).mask_fill(absent.clone(), 0.0);
        let mean = above.clone().sum_dim(1) / sizes.clone();
        let centered = above - mean;
        let values = match group_of_one {
            GroupOfOne::Raw => centered.mask_where(alone(&sizes).expand(shape), rewards),
            GroupOfOne::Zero | GroupOfOne::Refuse => centered,
        };
        Ok(Self { values: values.mask_fill(absent.clone(), 0.0), absent, sizes, cells: indices(cells, &device) })
    }

    /// Members of each group but one, at least 1: `[groups, 1]`.
    pub(crate) fn others(&self) -> Tensor<2> {
        self.sizes.clone().sub_scalar(1.0).clamp_min(1.0)
    }

    /// True for groups of one: `[groups, 1]`.
    pub(crate) fn alone(&self) -> Tensor<2, Bool> {
        alone(&self.sizes)
    }

    /// How far the rewards of each group lie apart, 1 for a group of one: `[groups, 1]`.
    pub(crate) fn deviation(&self, deviation: Deviation) -> Tensor<2> {
        let divisor = match deviation {
            Deviation::Sample => self.others(),
            Deviation::Population => self.sizes.clone(),
        };
        (self.values.clone().square().sum_dim(1) / divisor).sqrt().mask_fill(self.alone(), 1.0)
    }

    /// Gives every response token the value of its response's cell: `[groups, widest]` to `[responses, tokens]`, 0 on padding.
    pub(crate) fn spread(self, values: Tensor<2>, response: &Tensor<2, Bool>) -> Tensor<2> {
        let [groups, widest] = values.dims();
        values
            .reshape([groups * widest])
            .select(0, self.cells)
            .unsqueeze_dim::<2>(1)
            .expand(response.dims())
            .mask_fill(response.clone().bool_not(), 0.0)
    }
}

fn alone(sizes: &Tensor<2>) -> Tensor<2, Bool> {
    sizes.clone().equal_scalar(1.0)
}

/// Host counts as a tensor.
pub(crate) fn indices(values: Vec<usize>, device: &Device) -> Tensor<1, Int> {
    let length = values.len();
    let values: Vec<i64> = values.into_iter().map(|value| value as i64).collect();
    Tensor::from_data(TensorData::new(values, [length]), device)
}
