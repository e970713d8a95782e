//! The `serin` program: everything is in [`serin::cli`].

fn main() -> std::process::ExitCode {
    serin::cli::main()
}
