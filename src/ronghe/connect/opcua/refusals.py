"""What a failed connection means and what to do about it, in words."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from asyncua import ua
from asyncua.ua.uaerrors import UaError
from cryptography.hazmat.primitives.serialization import Encoding

from ronghe.connect.opcua import wire
from ronghe.connect.opcua.options import Options
from ronghe.connect.opcua.trust import Fixable, fingerprint, read_certificate
from ronghe.errors import ConnectError, Rejected, Unreachable
from ronghe.text import Text

_CODES: Final = ua.StatusCodes
_USER: Final = {_CODES.BadUserAccessDenied, _CODES.BadIdentityTokenInvalid, _CODES.BadIdentityTokenRejected, _CODES.BadUserSignatureInvalid}
_CERTIFICATE: Final = {
    code for name, code in vars(_CODES).items() if name.startswith("BadCertificate")
} | {_CODES.BadSecurityChecksFailed, _CODES.BadApplicationSignatureInvalid}  # fmt: skip
POLICY: Final = {_CODES.BadSecurityModeRejected, _CODES.BadSecurityPolicyRejected}
"""Codes that say that this security is not offered."""
_NAME: Final = {_CODES.BadTcpEndpointUrlInvalid, _CODES.BadServerUriInvalid}
_MODES: Final = {1: "None", 2: "Sign", 3: "SignAndEncrypt"}


def offered(endpoints: Sequence[ua.EndpointDescription]) -> str:
    """The endpoints' security settings, as the option `security` writes them."""
    found = []
    for endpoint in endpoints:
        policy = (endpoint.SecurityPolicyUri or "").rpartition("#")[2]
        mode = _MODES.get(int(endpoint.SecurityMode), "?")
        found.append("None" if mode == "None" else f"{policy}/{mode}")
    return ", ".join(dict.fromkeys(found))


def not_offered(options: Options, endpoints: Sequence[ua.EndpointDescription]) -> Rejected:
    """The server has no endpoint with the configured security."""
    names = offered(endpoints)
    return Rejected(
        Text(f"the server does not offer security {options.security!r}", f"服务器不提供安全设置 {options.security!r}"),
        where=options.url,
        todo=Text(f"set option security to one of those it offers: {names}", f"请将选项 security 设为服务器提供的其中之一：{names}"),
    )


def explained(error: BaseException, options: Options, certificate: Path | None) -> ConnectError:
    """The error of ours for one that asyncua or the socket raised while connecting."""
    code, where = wire.code_of(error), options.url
    if code in _USER:
        return _bad_user(options)
    if code in _CERTIFICATE or (code is None and isinstance(error, ConnectionError) and certificate is not None):
        return _mistrusted(error, options, certificate)
    if code in POLICY:
        return Rejected(
            Text(f"the server refuses security {options.security!r}", f"服务器拒绝安全设置 {options.security!r}"),
            where=where,
            todo=Text("set option security to one that it offers", "请将选项 security 设为服务器提供的设置"),
        )
    if code in _NAME:
        return Rejected(
            Text("the server does not answer to this host name", "服务器不接受该主机名"),
            where=where,
            todo=Text("use the host name that the server's own endpoint shows", "请使用服务器端点中显示的主机名"),
        )
    if code is not None:
        name = ua.StatusCode(code).name
        return ConnectError(
            Text(f"the server refused: {name}", f"服务器拒绝连接：{name}"),
            where=where,
            todo=Text("see the server's log; it is tried again", "请查看服务器日志；将自动重试"),
        )
    if isinstance(error, UaError):
        return ConnectError(
            Text(f"no OPC UA connection: {error}", f"无法建立 OPC UA 连接：{error}"),
            where=where,
            todo=Text("check that this port is an OPC UA server's, and see its log", "请确认该端口是 OPC UA 服务器，并查看其日志"),
        )
    return unreachable(error, options)


def unreachable(error: BaseException, options: Options) -> Unreachable:
    """No answer at all."""
    if isinstance(error, asyncio.TimeoutError):
        what = Text(f"no answer within {options.timeout:g} s", f"{options.timeout:g} 秒内无应答")
    else:
        what = Text(f"cannot be reached: {error or type(error).__name__}", f"无法连接：{error or type(error).__name__}")
    return Unreachable(
        what,
        where=options.url,
        todo=Text(
            "check that the server runs, and host, port, cable and firewall (OPC UA: TCP 4840 as a rule)",
            "请检查服务器是否运行，以及主机名、端口、网线与防火墙（OPC UA 通常为 TCP 4840）",
        ),
    )


def _bad_user(options: Options) -> Rejected:
    if options.user_certificate:
        who = Text(f"the user certificate {options.user_certificate}", f"用户证书 {options.user_certificate}")
        todo = Text("have the server's administrator trust it for this user", "请服务器管理员为该用户信任此证书")
    elif options.user:
        who = Text(f"user {options.user!r} with this password", f"用户 {options.user!r} 或其密码")
        todo = Text(
            "check options user and password, and the user's rights on the server",
            "请检查选项 user 与 password，以及该用户在服务器上的权限",
        )
    else:
        who = Text("an anonymous user", "匿名用户")
        todo = Text('give options user and password = { env = "NAME" }', '请填写选项 user 与 password = { env = "NAME" }')
    return Rejected(Text(f"the server refuses {who.en}", f"服务器拒绝{who.zh}"), where=options.url, todo=todo)


def _mistrusted(error: BaseException, options: Options, certificate: Path | None) -> Fixable:
    code = wire.code_of(error)
    name = ua.StatusCode(code).name if code is not None else "connection closed"
    if certificate is None:
        return Fixable(
            Text(f"the server's security check failed: {name}", f"服务器安全检查未通过：{name}"),
            where=options.url,
            todo=Text("see the server's log, and the certificates on both sides", "请查看服务器日志与双方证书"),
        )
    try:
        der = read_certificate(certificate).public_bytes(Encoding.DER)
        mark = f"{certificate} (SHA-256 {fingerprint(der)}, SHA-1 {fingerprint(der, sha1=True)})"
    except (OSError, ValueError):
        mark = str(certificate)
    return Fixable(
        Text(f"the server does not trust this client's certificate ({name})", f"服务器不信任本客户端的证书（{name}）"),
        where=options.url,
        todo=Text(
            f"have the server's administrator trust {mark}: most servers list it under rejected certificates by now; it is tried again",
            f"请服务器管理员信任证书 {mark}：多数服务器已将其列入“被拒绝的证书”；将自动重试",
        ),
    )
