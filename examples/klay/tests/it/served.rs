//! The program as a server: started, asked, ended or killed.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

/// `klay dev` or `klay serve`, killed when dropped.
pub(crate) struct Served {
    process: Child,
    /// Where it answers HTTP.
    pub(crate) address: String,
}

impl Served {
    /// Starts `klay ARGS` on `data` and waits until it answers.
    pub(crate) fn start(args: &[&str], data: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_klay"))
            .args(args)
            .args(["--http", "127.0.0.1:0", "--ws", "off", "--data"])
            .arg(data)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        let address = loop {
            let Some(line) = lines.next() else { panic!("ended at start: {said:#?}") };
            let line = line.unwrap();
            if let Some(address) = line.strip_prefix("HTTP") {
                break address.trim().to_owned();
            }
            said.push(line);
        };
        // Whatever follows must not fill the pipe.
        thread::spawn(move || lines.for_each(drop));
        Self { process, address }
    }

    /// Ends it as an operator would.
    pub(crate) fn stop(mut self) {
        let told = Command::new("kill").arg("-TERM").arg(self.process.id().to_string()).status().unwrap();
        assert!(told.success() && self.process.wait().unwrap().success());
    }
}

impl Drop for Served {
    /// SIGKILL.
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }
}
