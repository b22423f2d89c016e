//! The demo: what 49 idle connections cost a busy loop, and what they cost a server that waits for readiness.

use super::{Ends, Mode, Serve};
use crate::net::args::{ConnectArgs, ServeArgs};
use crate::net::demo::{DemoError, Needed, Running, Stage};
use crate::sys::resource::cpu_time_of;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

sentences! {
    /// What the demo says.
    enum Say {
        BusyLoop { all: usize, idle: usize } =>
            "A busy loop tries every socket, again and again. {all} connections, {idle} of them idle.",
            "忙循环反复尝试每个套接字。{all} 个连接，其中 {idle} 个空闲。";
        Readiness { all: usize, idle: usize } =>
            "Readiness: the kernel reports which socket has something. {all} connections, {idle} of them idle.",
            "就绪通知：由内核报告哪个套接字有数据。{all} 个连接，其中 {idle} 个空闲。";
        UpperCase => "the text came back in upper case", "文本以大写返回";
        Requests { requests: usize } => "{requests} requests were answered", "{requests} 个请求都得到了回答";
        BusyUsed { idle: f64, load: f64, rate: f64 } =>
            "busy loop: {idle:.1} % of a core idle, {load:.1} % under load, {rate:.0} requests/s from one client",
            "忙循环：空闲时占一个核的 {idle:.1} %，负载下 {load:.1} %，单个客户端每秒 {rate:.0} 个请求";
        ReadyUsed { idle: f64, load: f64, rate: f64 } =>
            "readiness: {idle:.1} % of a core idle, {load:.1} % under load, {rate:.0} requests/s from one client",
            "就绪通知：空闲时占一个核的 {idle:.1} %，负载下 {load:.1} %，单个客户端每秒 {rate:.0} 个请求";
        UsesTime => "when idle, it uses processor time", "空闲时也占用处理器";
        UsesNone => "when idle, it uses almost no processor time", "空闲时几乎不占用处理器";
    }
}

/// How long the idle server is measured.
const IDLE: Duration = Duration::from_millis(500);
const REQUESTS: usize = 2000;
const CONNECTIONS: usize = 50;

pub(super) fn play(stage: &mut Stage<'_>) -> Result<(), DemoError> {
    for mode in [Mode::Busy, Mode::Ready] {
        let (all, idle) = (CONNECTIONS, CONNECTIONS - 1);
        stage.scene(match mode {
            Mode::Busy => Say::BusyLoop { all, idle },
            Mode::Ready => Say::Readiness { all, idle },
        });
        let server = stage.serve(Ends::Serve(Serve { serve: ServeArgs::default(), mode }), &[])?;
        let client = Ends::Connect(ConnectArgs::to(server.address()));
        let (client, ended) = stage.connect(client, &["wusir", "straße 火锅"])?;
        let got = stage.messages_of(client);
        stage.check(Say::UpperCase, ended.is_ok() && got == ["WUSIR", "STRASSE 火锅"]);

        let connect = || TcpStream::connect(server.address()).map_err(DemoError::failed(Needed::Reachable));
        let mut streams = (0..CONNECTIONS).map(|_| connect()).collect::<Result<Vec<_>, _>>()?;
        let idle = core_share(&server, || thread::sleep(IDLE))?;
        let (mut right, began) = (true, Instant::now());
        let load = core_share(&server, || right = ask(&mut streams[0]))?;
        let rate = REQUESTS as f64 / began.elapsed().as_secs_f64();
        stage.check(Say::Requests { requests: REQUESTS }, right);
        stage.fact(match mode {
            Mode::Busy => Say::BusyUsed { idle, load, rate },
            Mode::Ready => Say::ReadyUsed { idle, load, rate },
        });
        // While other programs run, even a busy loop gets little of a core; a server that sleeps gets none.
        match mode {
            Mode::Busy => stage.check(Say::UsesTime, idle > 5.0),
            Mode::Ready => stage.check(Say::UsesNone, idle < 5.0),
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
