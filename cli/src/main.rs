//! The program `oz`; everything is in the library of the same name.

fn main() -> std::process::ExitCode {
    oz::run(std::env::args_os())
}
