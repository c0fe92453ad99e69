//! What systemd itself says of the units.

use steroids_tests::Lab;

/// The figures that the documentation promises, in tenths, of units as whose they are analysed.
const EXPOSURE: [(&str, &str, u32); 3] = [
    ("--user", "/etc/systemd/user/steroidsd.service", 16),
    ("--user", "/etc/systemd/user/steroids-gateway.service", 17),
    ("--system", "/etc/systemd/system/steroidsd@.service", 51),
];

#[tokio::test]
async fn the_units_are_understood_whole_and_exposed_no_more_than_is_said() {
    let Some(lab) = Lab::boot().await else {
        return;
    };
    lab.install_units();
    let user = lab.user("dev").await;
    for (whose, unit, most) in EXPOSURE {
        let threshold = format!("--threshold={most}");
        let analyze = ["systemd-analyze", whose, "security", "--offline=yes"];
        let output = user
            .run(&[&analyze[..], &[&threshold, unit]].concat())
            .await;
        let figure = output.stdout.lines().last().unwrap_or_default().to_owned();
        assert_eq!(output.code, 0, "{unit}: {figure} {}", output.stderr);
    }
    // It exits with 0 also where it complains. Manual pages are the package's part.
    let user_units = [
        "steroidsd.socket",
        "steroidsd.service",
        "steroids-gateway.service",
    ];
    let user_units = user_units.map(|unit| format!("/etc/systemd/user/{unit}"));
    let units: Vec<&str> = user_units.iter().map(String::as_str).collect();
    let verify = ["systemd-analyze", "--user", "--man=no", "verify"];
    let output = user.run(&[&verify[..], &units].concat()).await;
    assert_eq!((output.code, output.stderr.as_str()), (0, ""));
    let instance = "/etc/systemd/system/steroidsd@dev.service";
    let text = lab.read("/etc/systemd/system/steroidsd@.service");
    lab.write(instance, &text);
    let verify = ["systemd-analyze", "--man=no", "verify", instance];
    let output = lab.run(&verify).await;
    assert_eq!((output.code, output.stderr.as_str()), (0, ""));
}
