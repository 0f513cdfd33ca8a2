"""The sample world: ClimSim low-res step files from an idealised moist column model.

It exists so that the kit can be run and tested from end to end without the real data. Formats,
magnitudes and the exact relations are those of the real files; the climate is not. No number comes
from a data file. Everything is a function of (seed, time), and every tendency is a function of the
556 network inputs of its own column.

Entry point: `leapkit.sampleworld.write.write_steps`.

Grid (grid.py). 6 x 8 x 8 equiangular cells of the cubed sphere. 60 hybrid levels, p = hya 1e5 Pa +
hyb ps, with interfaces ln(p/p0) = -(0.6 x + x^2 + 8.2 x^4), x from 1 at the top to 0 at the ground.

State before the step (state.py, climate.py, surface.py, weather.py, sun.py). A zonal climate with
seasons (a troposphere T = Ta exp(-a d - b d^2), d = ln(ps/p), under a stratosphere) plus sums of 48
random plane waves in place, height and time. cos(zenith) = sin(lat) sin(dec) + cos(lat) cos(dec)
cos(h). Land warms and cools through the day; the sea freezes below 271.35 K. Vapour is RH qsat(T,
p), RH a logistic function of climate and weather. Bulk fluxes F = rho C |V| (surface - air). Six
steps of turbulence settle the profiles, so that no kinks are left.

Longwave (radiation.py). Two grey bands (a closed one with CO2 and vapour, a window with ozone, CH4,
N2O and the vapour continuum), both closed by cloud: e = 1 - exp(-1.66 tau), D(k+1) = D(k) (1 - e) +
e w sigma T^4 downward and its mirror upward from LWUP. Heating = -g/cp dF/dp.

Shortwave (shortwave.py). Four bands. Ozone, oxygen, vapour and cloud absorb, cloud and air scatter:
direct light exp(-tau / COSZRS), the scattered part splits into back = (b + x)/(1 + x), x = (1 - g)
tau_s / 2, and forward. Adding method from the four albedos of the ground upward, then fluxes
downward. NETSW, SOLS, SOLL, SOLSD, SOLLD are the fluxes at the ground, visible and infrared, direct
and diffuse.

Turbulence (mixing.py). LHFLX, SHFLX, TAUX and TAUY enter the lowest layer; implicit diffusion of cp
T + g z, vapour and wind with K = Kw/(1 + (Ri/4)^2) + l^2 |dV/dz| f(Ri) + k w* z exp(-(z/h)^2), l =
kz/(1 + kz/l0), f = sqrt(1 - 16 Ri) where unstable and (1 + 5 Ri)^-2 where stable. Drag may stop,
and dew may take, at most a quarter of the lowest layer.

Convection (convection.py). A parcel from the lowest layers keeps cp T + g z + Lv q. Where CAPE
passes 60 J/kg, the layers up to neutral buoyancy (thinning out near it) relax to its temperature
and to 58 % of saturation; a shift of T closes sum(cp dT + Lv dq) = 0. What drying exceeds
moistening rains, a fifth of it stays as cloud near the top. Without such an excess convection is
shallow: it moves vapour only. Wind relaxes to the mean of the convecting layers.

Condensation (condensation.py). Total water is spread evenly over +- 10 % (ice 20 %) of qsat in a
layer, which gives the balanced cloud (q - qsat + s)^2 / 4s, damped by 1/(1 + L/cp dqsat/dT);
supersaturation condenses at once, cloud moves a share of the way per step, faster in dry air. Ice
share: 1 below 238.15 K, 0 above 268.15 K. Melting above 273.15 K, freezing below 238.15 K and a
Bergeron share between. Conserves cp T + Lv q - Lf q_ice per layer. Above level 28 there is no
liquid: levels 12..27 end with exactly 0, so ptend_q0002 = -state_q0002/1200 there.

Precipitation (precipitation.py). Autoconversion c/(1 + c), c = dt/tau (1 - exp(-(q/q0)^2)); ice
falls at v ~ q^(1/3), implicitly; rain and snow fall through within the step, melt, freeze and
evaporate as 1 - exp(-k sqrt(P)) of the room in the air. PRECC is all that reaches the ground,
PRECSC the snow and ice in it.

Levels 0..11 feel radiation only: water and wind tendencies are exactly 0 there. Left out: dynamics,
the heat of dissipated wind, subgrid cloud overlap, the heat that falling water carries.
"""
