//! System tests of the whole workspace.
