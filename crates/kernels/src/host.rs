//! Tensors of the CPU backend as slices, and loops over them.

use burn::backend::DispatchDevice;
use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Device, Shape, Tensor, TensorData};
use pulp::Arch;

/// A tensor of the CPU backend.
pub(crate) type Host = FloatTensor<Flex>;

/// Values that a task of a parallel loop should have at least, so that handing it over is cheap beside it.
pub(crate) const TASK: usize = 16 * 1024;

/// As [`is_host`], and nothing follows its operations: what kernels without a gradient take, and may write over.
pub(crate) fn is_plain<const D: usize>(x: &Tensor<D>) -> bool {
    is_host(x) && !x.is_autodiff()
}

/// Whether the tensor lies on the CPU in f32, so that the kernels here can read it.
pub(crate) fn is_host<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && is_cpu(&x.device())
}

fn is_cpu(device: &Device) -> bool {
    match device.as_dispatch() {
        DispatchDevice::Autodiff(inner) => matches!(**inner, DispatchDevice::Flex(_)),
        device => matches!(device, DispatchDevice::Flex(_)),
    }
}

/// Does work on tensors like `x` on one of the threads that kernels run on: a thread from outside would be woken after each of
/// them. Work with autodiff, or on another device, is done where it is asked for.
///
/// While it waits for its pieces that thread may begin other work of this kind, so `work` must hold no lock that others want.
pub fn among_kernels<const D: usize, R: Send>(x: &Tensor<D>, work: impl FnOnce() -> R + Send) -> R {
    // A gradient's tape is locked while kernels run, and a thread that waits for its pieces must not begin on other work then.
    if is_plain(x) { rayon::scope(|_| work()) } else { work() }
}

/// Does two pieces of work on tensors like `x`, at the same time where [`among_kernels`] would do each on the kernels'
/// threads: neither then waits alone for the last of its pieces. Elsewhere one after the other.
///
/// Locks as there.
pub fn side_by_side<const D: usize, A: Send, B: Send>(
    x: &Tensor<D>,
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B + Send,
) -> (A, B) {
    if is_plain(x) { rayon::join(first, second) } else { (first(), second()) }
}

/// The same values in row-major order; the tensor itself if they are.
pub(crate) fn in_order(x: Host) -> Host {
    if x.as_slice::<f32>().is_some() { x } else { x.to_contiguous() }
}

/// The values of a tensor that is in order.
///
/// # Panics
/// If it is not, or not f32.
pub(crate) fn values(x: &Host) -> &[f32] {
    x.as_slice().expect("f32 values in row-major order")
}

/// A tensor of these values.
pub(crate) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> Host {
    Host::from_data(TensorData::new(values, shape))
}

/// Runs `f` compiled for the widest vector instructions of the machine. What it calls must be inlined to profit.
#[inline(always)]
pub(crate) fn vectorized<R>(f: impl FnOnce() -> R) -> R {
    Arch::new().dispatch(f)
}

/// The sum of `f` over pairs of equally long rows, in an order that does not depend on the machine's vector width.
#[inline(always)]
pub(crate) fn sum_pairs(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [0.0; LANES];
    let (a, b) = (&a[..a.len().min(b.len())], &b[..a.len().min(b.len())]);
    let (a_parts, b_parts) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a_parts.remainder().iter().zip(b_parts.remainder()).map(|(&a, &b)| f(a, b)).sum::<f32>();
    for (a, b) in a_parts.zip(b_parts) {
        for lane in 0..LANES {
            lanes[lane] += f(a[lane], b[lane]);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// `e^x` within 2.4e-7 of its value; 0 below the smallest normal number, the largest number above 88.7, and not-a-number where
/// `x` is.
///
/// # Source
/// Cody & Waite's reduction by multiples of ln 2 in two parts, and the minimax polynomial of Cephes' `expf`.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const LOWEST: f32 = -87.336_54;
    const HIGHEST: f32 = 88.722_83;
    /// Adding it rounds to an integer, which then stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let bounded = x.clamp(LOWEST, HIGHEST);
    let shifted = bounded.mul_add(std::f32::consts::LOG2_E, ROUND);
    let multiple = shifted - ROUND;
    let r = multiple.mul_add(-0.693_359_4, bounded);
    let r = multiple.mul_add(2.121_944_4e-4, r);
    let p = 1.987_569_2e-4_f32;
    let p = p.mul_add(r, 1.398_2e-3);
    let p = p.mul_add(r, 8.333_452e-3);
    let p = p.mul_add(r, 4.166_579_6e-2);
    let p = p.mul_add(r, 1.666_666_5e-1);
    let p = p.mul_add(r, 0.5);
    let p = p.mul_add(r * r, r) + 1.0;
    // 2^n in two halves, since 2^128 is not a number of this kind.
    let n = shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    let power = |n: i32| f32::from_bits(((n + 127) as u32) << 23);
    let value = p * power(n >> 1) * power(n - (n >> 1));
    if x < LOWEST { 0.0 } else { value }
}

/// Replaces scores by their exponentials relative to the largest, and returns that and their sum.
#[inline(always)]
pub(crate) fn exponentials(scores: &mut [f32]) -> (f32, f32) {
    const LANES: usize = 16;
    let mut tops = [f32::NEG_INFINITY; LANES];
    let mut parts = scores.chunks_exact(LANES);
    for part in &mut parts {
        for lane in 0..LANES {
            tops[lane] = if part[lane] > tops[lane] { part[lane] } else { tops[lane] };
        }
    }
    let top = tops.iter().chain(parts.remainder()).copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sums = [0.0; LANES];
    let mut parts = scores.chunks_exact_mut(LANES);
    for part in &mut parts {
        for lane in 0..LANES {
            part[lane] = exp(part[lane] - top);
            sums[lane] += part[lane];
        }
    }
    let mut sum = sums.iter().sum();
    for score in parts.into_remainder() {
        *score = exp(*score - top);
        sum += *score;
    }
    (top, sum)
}

/// The tensor in f32 if it is in half precision, else as it is.
#[must_use]
pub fn at_least_f32<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if matches!(x.dtype(), DType::F16 | DType::BF16) { x.cast(DType::F32) } else { x }
}

/// The tensor in a number format, untouched if it already is.
pub(crate) fn in_dtype<const D: usize>(x: Tensor<D>, dtype: DType) -> Tensor<D> {
    if x.dtype() == dtype { x } else { x.cast(dtype) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_is_accurate() {
        let worst = (-8_700..=8_870)
            .map(|i| i as f32 / 100.0 + 0.001_3)
            .map(|x| ((f64::from(exp(x)) - f64::from(x).exp()) / f64::from(x).exp()).abs())
            .fold(0.0, f64::max);
        assert!(worst < 2.0 * f64::from(f32::EPSILON), "{worst:e}");
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(89.0) > 3e38);
    }

    #[test]
    fn sums_of_pairs() {
        let a: Vec<f32> = (0..37).map(|i| i as f32).collect();
        assert_eq!(sum_pairs(&a, &a, |a, b| a * b), (0..37).map(|i| (i * i) as f32).sum::<f32>());
        assert_eq!(sum_pairs(&[], &[], |a, b| a * b), 0.0);
    }
}
