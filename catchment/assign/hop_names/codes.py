"""How operators write the hubs of the Internet in the names of routers, and what in such names is no place.

Facts read off the operators' public router names (traceroutes in public repositories, 2026-11): codes, not texts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """A town with many routers: how it is spelled (letters only), its CLLI-like codes, and its three-letter codes.

    A three-letter code stands here where IATA has none, or another place for it (`ash` is Nashua's).
    """

    country: str
    town: str
    latitude: float
    longitude: float
    spellings: tuple[str, ...]
    clli: tuple[str, ...]
    codes: tuple[str, ...]


# country; town; latitude; longitude; further spellings; CLLI-like codes; short codes
_HUBS = """
AE; Dubai; 25.20; 55.27;; dubaua; dxb
AE; Fujairah; 25.13; 56.33;;; fjr
AR; Buenos Aires; -34.60; -58.38; baires; bnsrar; bue
AT; Vienna; 48.21; 16.37; wien; viennn; vie
AU; Brisbane; -27.47; 153.03;;; bne
AU; Melbourne; -37.81; 144.96;; mlbrau; mel
AU; Perth; -31.95; 115.86;;; per
AU; Sydney; -33.87; 151.21;; sydnau sydnnsw; syd
BE; Brussels; 50.85; 4.35; bruxelles brussel; brslbe; bru
BG; Sofia; 42.70; 23.32;; sofibg; sof
BR; Fortaleza; -3.73; -38.53;; frtlbr; for
BR; Rio de Janeiro; -22.91; -43.17; riodejaneiro; rdjnbr; rio
BR; São Paulo; -23.55; -46.63; sanpaolo saopaolo; saplbr spalbr; sao
CA; Calgary; 51.05; -114.07;; clgrab; yyc
CA; Montreal; 45.50; -73.57;; mtrlpq; mtl ymq
CA; Toronto; 43.65; -79.38;; toroon; tor yyz
CA; Vancouver; 49.28; -123.12;; vancbc; yvr
CH; Geneva; 46.20; 6.14; geneve genf; gnvesw; gva
CH; Zurich; 47.37; 8.54; zuerich; zrchsw zurcsw; zrh
CL; Santiago; -33.45; -70.67; santiagodechile; sntgcl; scl
CO; Bogotá; 4.71; -74.07;; bgtaco; bog
CZ; Prague; 50.09; 14.42; praha; prgecz praghc; prg
DE; Berlin; 52.52; 13.40;; brlnge; ber txl
DE; Düsseldorf; 51.23; 6.78; duesseldorf; dsdfge dsslge; dus
DE; Frankfurt; 50.11; 8.68; frankfurtammain francoforte; frnkge; fra ffm
DE; Hamburg; 53.55; 9.99;; hmbgge; ham
DE; Munich; 48.14; 11.58; muenchen munchen; mnchge; muc
DE; Nuremberg; 49.45; 11.08; nuernberg nurnberg;; nue nbg
DK; Copenhagen; 55.68; 12.57; kobenhavn koebenhavn; cphgdk; cph
EE; Tallinn; 59.44; 24.75;;; tll
EG; Cairo; 30.04; 31.24;;; cai
ES; Barcelona; 41.39; 2.17;; brclsp; bcn
ES; Madrid; 40.42; -3.70;; mdrdsp; mad
FI; Helsinki; 60.17; 24.94;; hlsnfi; hel
FR; Marseille; 43.30; 5.37; marseilles marsiglia; mrslfr marsfr; mrs
FR; Paris; 48.86; 2.35; parigi; parsfr; par
GB; Edinburgh; 55.95; -3.19;;; edi
GB; London; 51.51; -0.13; londra; londen londgb slghen; lon ldn
GB; Manchester; 53.48; -2.24;; mnchen; man
GR; Athens; 37.98; 23.73; athina; athngr; ath
HK; Hong Kong; 22.32; 114.17;; tkokhk newthk hngkhk; hkg
HR; Zagreb; 45.81; 15.98;; zgrbhr; zag
HU; Budapest; 47.50; 19.04;; bdpshu budphu; bud
ID; Jakarta; -6.21; 106.85;; jktaid jkrtid; jkt
IE; Dublin; 53.35; -6.26;; dblnir dblnie; dub
IL; Tel Aviv; 32.09; 34.78; telavivyafo;; tlv
IN; Chennai; 13.08; 80.27;; chnnin; maa
IN; Delhi; 28.61; 77.21; newdelhi;; del
IN; Mumbai; 19.08; 72.88;; mumbin mmbiin; bom
IS; Reykjavík; 64.15; -21.94;;; kef rkv
IT; Milan; 45.46; 9.19; milano; milnit mlanit; mil
IT; Palermo; 38.12; 13.36;;; pmo
IT; Rome; 41.90; 12.50; roma; romeit; rom
JP; Osaka; 34.69; 135.50;; osakjp; osa osk
JP; Tokyo; 35.68; 139.65;; tokyjp; tyo tky
KE; Nairobi; -1.29; 36.82;;; nbo
KR; Seoul; 37.57; 126.98;; seolko seolkr; sel
LT; Vilnius; 54.69; 25.28;;; vno
LU; Luxembourg; 49.61; 6.13;;; lux
LV; Riga; 56.95; 24.11;;; rix
MX; Mexico City; 19.43; -99.13; mexico; mxctmx; mex
MY; Kuala Lumpur; 3.14; 101.69;; klmpmy; kul
NG; Lagos; 6.45; 3.39;;;
NL; Amsterdam; 52.37; 4.90;; amstnl; ams adm
NO; Oslo; 59.91; 10.75;; oslono; osl
NZ; Auckland; -36.85; 174.76;; acklnz; akl
PE; Lima; -12.05; -77.04;; limape; lim
PH; Manila; 14.60; 120.98;; mnlaph; mnl
PL; Warsaw; 52.23; 21.01; warszawa; wrswpl warspl; waw
PT; Lisbon; 38.72; -9.14; lisboa; lsbnpt; lis
RO; Bucharest; 44.43; 26.10; bucuresti; bchrro; buh
RS; Belgrade; 44.79; 20.45; beograd;; beg
RU; Moscow; 55.76; 37.62; moskva; moscru; mow msk
RU; Saint Petersburg; 59.94; 30.31; stpetersburg petersburg;; led spb
SE; Gothenburg; 57.71; 11.97; goteborg;; got
SE; Stockholm; 59.33; 18.07; stoccolma; stocse stckse; sto sth
SG; Singapore; 1.35; 103.82;; sngpsi; sin sng
SI; Ljubljana; 46.06; 14.51;;; lju
SK; Bratislava; 48.15; 17.11;; brtssk; bts
TH; Bangkok; 13.75; 100.50;; bangth bngkth; bkk
TR; Istanbul; 41.01; 28.98;; istntr; ist
TW; Taipei; 25.03; 121.56;; taiptw tapetw; tpe
UA; Kyiv; 50.45; 30.52; kiev; kievua; kbp iev
US; Ashburn; 39.04; -77.49;; asbnva; ash iad
US; Atlanta; 33.75; -84.39;; atlnga; atl
US; Boston; 42.36; -71.06;; bstnma; bos
US; Chicago; 41.88; -87.63; 350ecermak; chcgil chgoil; chi
US; Dallas; 32.78; -96.80;; dllstx dllatx; dal dls
US; Denver; 39.74; -104.99; 1601milehigh; dnvrco enwdco; den
US; Fremont; 37.55; -121.99;; frmtca; fmt
US; Houston; 29.76; -95.37;; hstntx; hou
US; Kansas City; 39.10; -94.58;; knscmo; mci
US; Las Vegas; 36.17; -115.14;; lsvgnv; las
US; Los Angeles; 34.05; -118.24;; lsanca; lax
US; Miami; 25.76; -80.19;; miamfl; mia
US; Minneapolis; 44.98; -93.27;; mplsmn mnplmn; msp
US; New York; 40.71; -74.01; newyorkcity; nycmny nwyrny nycnny; nyc nyk
US; Newark; 40.74; -74.17;; nwrknj; ewr
US; Palo Alto; 37.44; -122.14; 529bryant; plalca; pao
US; Philadelphia; 39.95; -75.17;; phlapa phlbpa; phl
US; Phoenix; 33.45; -112.07;; phnxaz; phx
US; Portland; 45.52; -122.68;; ptldor; pdx
US; Salt Lake City; 40.76; -111.89; saltlake; slkcut; slc
US; San Francisco; 37.77; -122.42;; snfcca; sfo
US; San Jose; 37.34; -121.89;; snjsca sanjca; sjc
US; Santa Clara; 37.35; -121.96;; sntcca;
US; Seattle; 47.61; -122.33;; sttlwa; sea
US; Washington; 38.90; -77.04; washingtondc; wshndc; wdc was
ZA; Cape Town; -33.92; 18.42;; cptwsa; cpt
ZA; Johannesburg; -26.20; 28.05;; jhbgsa jnbgza; jnb
"""

# Towns whose name is one of a router's own words: only a number behind it makes it a place.
PLAIN_WORDS = _words(
    """
    bath central corona enterprise global male media metro mobile most nice orange reading split trunk union
    """
)

# What routers and interfaces are called. As codes of places (`cor` is Córdoba's, `gig` Rio's, `man` Manchester's) these
# count only where the operator is known to have a place there.
ROLES = _words(
    """
    acc acr agg agr ags air aps arp ars asa asr atm atr bar bbr bcr bdr bge bgp bgw bng bpe bras bri brt cab cam car cas
    cbb cbr ccr ccs cdn cel cer cgn cgw chr cid clr cmt cne com con cor cpe crs csr csw cus dar dca dcn dcr dcs dep des
    dev dia dis dns drs dsl dsw ear ebr ecr edg epe esr eth ext fab far fas fdr fec fib fix fpc fsw fwl gar gbe gbr geo
    gig gpe gre grt gsr gtw gwy hge hgw hsr hub hun ias ibr ier igr igw int ips ipt ipv irb isp isr itc ixp ixr jar lab
    lac lag lan lcr ler lns lob loc log loo lsp lsr mac mai man map mar mcr mcs mer met mgt mix mlx mon mpe mpr mrt mse
    mta mtu mul mxr nap nas nat net nms noc nod ntp ntt oam off ont oob ops out pat pcr pdr pea pes pgw pic pod poe pop
    pos ppp pri psw ptr ptx pub qfx rac ran rar rcr ref reg rem res rev rib rou rsp rsw rtd rtr rur san sar sat sbc sbr
    scr sdr sec ser spe spn sps srv srx ssr ssw str sub svc swi sys tag tar tcr tel ten ter tge tor tra trk tst tun uni
    upe usr van var vdc via vip vla vpe vpn vps vrf wan web wlc xcr xge
    """
)

# Codes of places that are words as well: only a number behind one makes it a place.
DOUBTFUL = _words(
    """
    all and any ber can dac del for get has icn its lad las los not one per run sea set six sky sun two
    """
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """Where an operator writes the place: the group `code` of `position`, searched in what is left of its domain.

    `own` holds codes of its own, each standing for a code of a hub; where `only_own`, no other code is read.
    """

    position: re.Pattern[str]
    own: dict[str, str]
    only_own: bool = False


_POSITIONS = {
    "cogentco.com": r"(?:^|\.)(?P<code>[a-z]{3})\d\d\.atlas$",
    "he.net": r"(?:^|\.)(?P<code>[a-z]{3})\d+$",
    "zayo.com": r"(?:^|\.)(?P<code>[a-z]{3})\d+\.[a-z]{2}\.(?:zip|eth)$",
    "above.net": r"(?:^|\.)(?P<code>[a-z]{3})\d+\.[a-z]{2}$",
    "gtt.net": r"[.-](?P<code>[a-z]{3})\d+(?:m-e\d+)?\.ip[46]$",
    "alter.net": r"(?:^|\.)(?P<code>[a-z]{3})\d+$",
    "colt.net": r"(?:^|\.)(?P<code>[a-z]{3})\d+\.neo$",
    "lumen.tech": r"(?:^|\.)(?P<code>[a-z]{3,})\d+\.[a-z]{2,3}$",
    "level3.net": r"(?:^|\.)(?P<code>[a-z]{3,})\d+$",
    "1e100.net": r"^(?P<code>[a-z]{3})\d+s\d+-",
    "akamai.com": r"\.(?P<code>[a-z]{3})\d+\.[a-z]{3}\.netarch$",
    "init7.net": r"^r\d+(?P<code>[a-z]{3})\d+\.core$",
    "geant.net": r"\.(?P<code>[a-z]{3})\d?\.[a-z]{2}$",
    "seabone.net": r"\.(?P<code>[a-z]{3})$",
    "retn.net": r"\.(?P<code>[a-z]{3})\.[a-z]{2}$",
    "telefonicaglobalsolutions.com": r"gr[a-z](?P<code>[a-z]{3})[a-z]{2}\d?\.net$",
    "as6453.net": r"\.[a-z0-9]+-(?P<code>[a-z-]{4,})$",
    "twelve99.net": r"(?:^|[.-])(?P<code>[a-z]{1,5})-bb?\d",
    "dtag.de": r"\.(?P<code>[a-z]{1,3})\.[a-z]{2}\.net$",
    "att.net": r"\.(?P<code>[a-z0-9]{5})\.ip$",
    "internet2.edu": r"\.(?P<code>[a-z]{4})\w*\.net$",
    "embratel.net.br": r"\.(?P<code>[a-z]{3})$",
}
_SAME = {"twelve99-cust.net": "twelve99.net", "telia.net": "twelve99.net"}
_OWN = {
    "twelve99.net": "adm=ams ash=ash atl=atl bcn=bcn bost=bos bpt=bud chi=chi ddf=dus den=den dln=dub dls=dal ffm=fra "
    "hbg=ham hls=hel hnk=hkg kanc=mci kbn=cph ldn=lon mad=mad mei=mrs mia=mia mow=mow nug=nue nyk=nyc oso=osl palo=pao "
    "prag=prg prs=par s=sto sea=sea sjo=sjc sng=sin tky=tyo tln=tll war=waw win=vie zch=zrh",
    "dtag.de": "b=ber d=dus f=fra hh=ham m=muc n=nue",
    "att.net": "attga=atl cgcil=chi dlstx=dal la2ca=lax n54ny=nyc phlpa=phl sffca=sfo st6wa=sea wswdc=wdc",
    "internet2.edu": "ashb=ash atla=atl chic=chi dall=dal denv=den hous=hou kans=mci losa=lax newy=nyc phil=phl "
    "salt=slc seat=sea sunn=sjc wash=wdc",
    "embratel.net.br": "rjo=rio spo=sao ftz=for",
    "seabone.net": "bai=bue spa=sao",
    "retn.net": "fkt=fra kiv=kbp stk=sto",
    "geant.net": "gen=gva",
}
_ONLY_OWN = {"twelve99.net", "att.net", "internet2.edu"}


@cache
def hubs() -> tuple[Hub, ...]:
    """Return the hubs, those of one name in the order in which a name without a country means them."""
    return tuple(_hub(line) for line in _HUBS.strip().splitlines())


def _hub(line: str) -> Hub:
    country, town, latitude, longitude, spellings, clli, codes = (field.strip() for field in line.split(";"))
    return Hub(
        country=country,
        town=town,
        latitude=float(latitude),
        longitude=float(longitude),
        spellings=tuple(spellings.split()),
        clli=tuple(clli.split()),
        codes=tuple(codes.split()),
    )


@cache
def carriers() -> dict[str, Carrier]:
    """Return the operators whose position of the place is known, by registered domain."""
    known = {
        domain: Carrier(
            position=re.compile(position),
            own=dict(pair.split("=") for pair in _OWN.get(domain, "").split()),
            only_own=domain in _ONLY_OWN,
        )
        for domain, position in _POSITIONS.items()
    }
    return known | {other: known[domain] for other, domain in _SAME.items()}
