//! A stand-in for `cubecl-llvm`: the items that `cubecl-cuda` names, without LLVM behind them.
//!
//! `cubecl-cuda` always contains two kernel compilers: CUDA C++ through NVRTC, and LLVM. The build script of the real
//! `cubecl-llvm` downloads a prebuilt LLVM of several hundred megabytes, so a build with CUDA fails wherever that
//! download is refused: in a continuous integration sandbox, on a cluster, offline. Kernels compiled by NVRTC, which
//! ships with the CUDA toolkit, need no LLVM; the cargo feature `cubecl/cuda-cpp` chooses it, and the `cuda` feature
//! of `trainer` turns that on.
//!
//! Here the LLVM compiler exists as types only: [`PlironCompiler`] refuses every kernel with an error, and
//! [`NvptxModule`], what a compilation would yield, has no values. Only the CUDA runtime can be built against this
//! crate; the CPU and ROCm runtimes of cubecl name items that are absent here and stop the build.
//!
//! Remove this crate and its `[patch.crates-io]` entry once `cubecl-cuda` makes LLVM optional.

use std::convert::Infallible;
use std::fmt;

use cubecl_core::environment::backtrace::BackTrace;
use cubecl_core::ir::nvidia::SmArch;
use cubecl_core::prelude::KernelDefinition;
use cubecl_runtime::compiler::{CompilationError, Compiler};
use cubecl_runtime::kernel::BufferIOAttr;

use crate::nvptx::ptx_version::PtxVersion;

/// Code generation for NVIDIA GPUs.
pub mod nvptx {
    /// Versions of PTX, the assembly language of NVIDIA GPUs.
    pub mod ptx_version {
        use std::convert::Infallible;
        use std::fmt;

        /// A version of PTX that LLVM would emit. Without LLVM there is none: the type has no values.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct PtxVersion(Infallible);

        impl PtxVersion {
            /// The newest version for a CUDA driver, which is always `None`: NVRTC picks its own.
            pub fn for_driver(_driver: i32) -> Option<Self> {
                None
            }
        }

        impl fmt::Display for PtxVersion {
            fn fmt(&self, _formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.0 {}
            }
        }
    }
}

/// What the LLVM targets have in common.
pub mod shared {
    /// Which device features survive lowering.
    pub mod lowered_features {
        use cubecl_core::ir::DeviceProperties;

        /// A family of GPUs that LLVM would generate code for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum GpuTarget {
            /// NVIDIA GPUs.
            Nvptx,
        }

        /// Would withdraw the features that LLVM cannot lower. Nothing is withdrawn, since nothing is lowered.
        pub fn restrict_features(_properties: &mut DeviceProperties, _target: GpuTarget) {}
    }
}

/// What LLVM would generate code for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LlvmTarget {
    /// NVIDIA GPUs.
    Nvptx,
}

/// The LLVM compiler, absent: [`Compiler::compile`] refuses every kernel.
#[derive(Clone, Debug)]
pub struct PlironCompiler {
    /// What it would generate code for.
    pub target: LlvmTarget,
}

/// The options `cubecl-cuda` fills in for the LLVM compiler. Nothing reads them.
#[derive(Clone, Debug, Default)]
pub struct PlironOptions {
    /// Architecture of a CPU or AMD GPU; always `None` for CUDA.
    pub arch: Option<Infallible>,
    /// Architecture of an NVIDIA GPU.
    pub sm_arch: Option<SmArch>,
    /// PTX version to emit.
    pub ptx_version: Option<PtxVersion>,
    /// Whether launch parameters are passed as grid constants.
    pub grid_constants: bool,
    /// Alignment of CPU buffers, in bytes; `cubecl-cuda` leaves it at its default.
    pub cpu_buffer_alignment: Option<u32>,
}

/// A compiled CUDA kernel. Without LLVM there is none: `absent` leaves the type without values.
#[derive(Clone, Debug)]
pub struct NvptxModule {
    /// PTX, with a terminating NUL.
    pub ptx: Vec<std::ffi::c_char>,
    /// Name of the kernel's entry function.
    pub entrypoint: String,
    /// LLVM's textual intermediate representation.
    pub ir: String,
    /// Dynamic shared memory, in bytes.
    pub shared_memory_size: usize,
    /// How the kernel uses each buffer.
    pub io: Vec<BufferIOAttr>,
    /// Proof that no value of this type exists.
    pub absent: Infallible,
}

/// What a compilation would yield.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PlironArtifact {
    /// A kernel for an NVIDIA GPU.
    NvptxCode(NvptxModule),
}

impl fmt::Display for PlironArtifact {
    fn fmt(&self, _formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::NvptxCode(module) = self;
        match module.absent {}
    }
}

impl Compiler for PlironCompiler {
    type Representation = PlironArtifact;
    type CompilationOptions = PlironOptions;

    fn compile(
        &mut self,
        _kernel: KernelDefinition,
        _options: &Self::CompilationOptions,
    ) -> Result<Self::Representation, CompilationError> {
        Err(CompilationError::Generic {
            reason: "this binary was built without LLVM; enable the cargo feature `cubecl/cuda-cpp` \
                     so that NVRTC compiles CUDA kernels"
                .to_owned(),
            backtrace: BackTrace::capture(),
        })
    }

    fn extension(&self) -> &'static str {
        "ll"
    }

    fn lang_tag(&self) -> &'static str {
        "llvm"
    }
}
