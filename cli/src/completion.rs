//! `completion`: a script that completes commands and flags, made from the definition of the command line.

use anyhow::Result;
use clap_complete::aot::{self, Generator};

use crate::args::{Cli, Shell};
use crate::invocation::Plugin;

/// The script of a shell, for the name under which the program was called.
pub(crate) fn script(plugin: Plugin, shell: Shell) -> Result<String> {
    let generator = match shell {
        Shell::Bash => aot::Shell::Bash,
        Shell::Zsh => aot::Shell::Zsh,
        Shell::Fish => aot::Shell::Fish,
        Shell::Powershell => aot::Shell::PowerShell,
    };
    let mut command = Cli::definition(plugin).bin_name(plugin.program());
    command.build();
    let mut script = Vec::new();
    generator.try_generate(&command, &mut script)?;
    Ok(String::from_utf8(script)?)
}
