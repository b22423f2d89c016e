//! The demo: what 49 idle connections cost a busy loop, and what they cost a server that waits for readiness.

use super::{Ends, Mode, Serve};
use crate::net::args::{ConnectArgs, ServeArgs};
use crate::net::demo::{DemoError, Running, Stage};
use crate::sys::resource::cpu_time_of;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

/// How long the idle server is measured.
const IDLE: Duration = Duration::from_millis(500);
const REQUESTS: usize = 2000;
const CONNECTIONS: usize = 50;

pub(super) fn play(stage: &mut Stage<'_>) -> Result<(), DemoError> {
    for (mode, text) in [
        (Mode::Busy, "A busy loop tries every socket, again and again"),
        (Mode::Ready, "Readiness: the kernel reports which socket has something"),
    ] {
        stage.scene(format!("{text}. {CONNECTIONS} connections, {} of them idle.", CONNECTIONS - 1));
        let server = stage.serve(Ends::Serve(Serve { serve: ServeArgs::default(), mode }), &[])?;
        let client = Ends::Connect(ConnectArgs::to(server.address()));
        let (client, ended) = stage.connect(client, &["wusir", "straße 火锅"])?;
        let got = stage.messages_of(client);
        stage.check("the text came back in upper case", ended.is_ok() && got == ["WUSIR", "STRASSE 火锅"]);

        let connect =
            || TcpStream::connect(server.address()).map_err(DemoError::failed("the server is reachable"));
        let mut streams = (0..CONNECTIONS).map(|_| connect()).collect::<Result<Vec<_>, _>>()?;
        let idle = core_share(&server, || thread::sleep(IDLE))?;
        let (mut right, began) = (true, Instant::now());
        let load = core_share(&server, || right = ask(&mut streams[0]))?;
        let rate = REQUESTS as f64 / began.elapsed().as_secs_f64();
        stage.check(format!("{REQUESTS} requests were answered"), right);
        let name = if mode == Mode::Busy { "busy loop" } else { "readiness" };
        stage.fact(format!(
            "{name}: {idle:.1} % of a core idle, {load:.1} % under load, {rate:.0} requests/s from one client"
        ));
        // While other programs run, even a busy loop gets little of a core; a server that sleeps gets none.
        match mode {
            Mode::Busy => stage.check("when idle, it uses processor time", idle > 5.0),
            Mode::Ready => stage.check("when idle, it uses almost no processor time", idle < 5.0),
        }
        drop(streams);
        stage.stop(&server)?;
    }
    Ok(())
}

/// Sends the requests one after the other. Returns whether each answer was right.
fn ask(stream: &mut TcpStream) -> bool {
    let _ = stream.set_nodelay(true);
    let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
    (0..REQUESTS).all(|_| {
        let mut answer = [0; 5];
        let asked = stream.write_all(b"wusir").and_then(|()| stream.read_exact(&mut answer));
        asked.is_ok() && &answer == b"WUSIR"
    })
}

/// The share of a core that the server used while `during` ran, in percent.
fn core_share(server: &Running, during: impl FnOnce()) -> Result<f64, DemoError> {
    let used =
        || cpu_time_of(server.pid()).map_err(DemoError::io("the server's processor time is unreadable"));
    let (began, before) = (Instant::now(), used()?);
    during();
    let spent = used()?.saturating_sub(before).as_secs_f64();
    Ok(100.0 * spent / began.elapsed().as_secs_f64())
}
