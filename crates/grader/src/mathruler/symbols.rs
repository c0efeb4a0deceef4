//! What the commands of LaTeX become as plain text.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Commands without arguments and their characters, as the pylatexenc package (2.11) replaces them.
const SYMBOLS: &str = "\
AA=Å AE=Æ Alpha=Α Angle=⦜ Beta=Β Bumpeq=≎ CYRA=А CYRABHCH=Ҽ CYRABHCHDSC=Ҿ CYRABHDZE=Ӡ CYRABHHA=Ҩ CYRAE=Ӕ CYRB=Б \
CYRBYUS=Ѫ CYRC=Ц CYRCH=Ч CYRCHLDSC=Ӌ CYRCHRDSC=Ҷ CYRCHVCRS=Ҹ CYRD=Д CYRDJE=Ђ CYRDZE=Ѕ CYRDZHE=Џ CYRE=Е CYREREV=Э \
CYRERY=Ы CYRF=Ф CYRFITA=Ѳ CYRG=Г CYRGDSC=Ӷ CYRGDSCHCRS=Ӻ CYRGHCRS=Ғ CYRGHK=Ҕ CYRGUP=Ґ CYRH=Х CYRHDSC=Ҳ CYRHHCRS=Ӿ \
CYRHHK=Ӽ CYRHRDSN=Ъ CYRI=И CYRIE=Є CYRII=І CYRISHRT=Й CYRIZH=Ѵ CYRJE=Ј CYRK=К CYRKBEAK=Ҡ CYRKDSC=Қ CYRKHCRS=Ҟ CYRKHK=Ӄ \
CYRKVCRS=Ҝ CYRL=Л CYRLDSC=Ӆ CYRLJE=Љ CYRM=М CYRMDSC=Ӎ CYRN=Н CYRNDSC=Ң CYRNG=Ҥ CYRNHK=Ӈ CYRNJE=Њ CYRO=О CYROTLD=Ө \
CYRP=П CYRPHK=Ҧ CYRR=Р CYRRTICK=Ҏ CYRS=С CYRSCHWA=Ә CYRSDSC=Ҫ CYRSEMISFTSN=Ҍ CYRSFTSN=Ь CYRSH=Ш CYRSHCH=Щ CYRSHHA=Һ \
CYRT=Т CYRTDSC=Ҭ CYRTETSE=Ҵ CYRTSHE=Ћ CYRU=У CYRUSHRT=Ў CYRV=В CYRY=Ү CYRYA=Я CYRYAT=Ѣ CYRYHCRS=Ұ CYRYI=Ї CYRYO=Ё \
CYRYU=Ю CYRZ=З CYRZDSC=Ҙ CYRZH=Ж CYRZHDSC=Җ CYRpalochka=Ӏ Cap=⋒ Chi=Χ Colon=∷ Cup=⋓ DH=Ð DJ=Đ Delta=Δ Digamma=Ϝ \
DownArrowBar=⤓ DownArrowUpArrow=⇵ DownLeftRightVector=⥐ DownLeftTeeVector=⥞ DownLeftVectorBar=⥖ DownRightTeeVector=⥟ \
DownRightVectorBar=⥗ Downarrow=⇓ Epsilon=Ε Equal=⩵ Eta=Η Gamma=Γ IJ=Ĳ Ident=𝕀 Iota=Ι Kappa=Κ Koppa=Ϟ L=Ł Lambda=Λ \
LeftDownTeeVector=⥡ LeftDownVectorBar=⥙ LeftRightVector=⥎ LeftTeeVector=⥚ LeftTriangleBar=⧏ LeftUpDownVector=⥑ \
LeftUpTeeVector=⥠ LeftUpVectorBar=⥘ LeftVectorBar=⥒ Leftarrow=⇐ Leftrightarrow=⇔ Lleftarrow=⇚ Longleftarrow=⟸ \
Longleftrightarrow=⟺ Longrightarrow=⟹ Lsh=↰ Mu=Μ NG=Ŋ NestedGreaterGreater=⪢ NestedLessLess=⪡ Nu=Ν O=Ø OE=Œ Omega=Ω \
Omicron=Ο Phi=Φ Pi=Π Psi=Ψ ReverseUpEquilibrium=⥯ Rho=Ρ RightDownTeeVector=⥝ RightDownVectorBar=⥕ RightTeeVector=⥛ \
RightTriangleBar=⧐ RightUpDownVector=⥏ RightUpTeeVector=⥜ RightUpVectorBar=⥔ RightVectorBar=⥓ Rightarrow=⇒ \
RoundImplies=⥰ Rrightarrow=⇛ Rsh=↱ RuleDelayed=⧴ Sampi=Ϡ Sigma=Σ Stigma=Ϛ Subset=⋐ Supset=⋑ TH=Þ Tau=Τ Theta=Θ \
UpArrowBar=⤒ UpEquilibrium=⥮ Uparrow=⇑ Updownarrow=⇕ Upsilon=Υ VDash=⊫ Vdash=⊩ Vert=‖ Vvdash=⊪ Xi=Ξ Zeta=Ζ aa=å ae=æ \
aleph=ℵ allequal=≌ alpha=α amalg=⨿ angle=∠ approx=≈ approxeq=≊ approxnotequal=≆ aquarius=♒ arccos=arccos \
arccosh=arccosh arcsin=arcsin arcsinh=arcsinh arctan=arctan arctanh=arctanh aries=♈ arrowwaveleft=↜ arrowwaveright=↝ \
ast=∗ asymp=≍ backepsilon=϶ backprime=‵ backsim=∽ backsimeq=⋍ barwedge=⌅ because=∵ beta=β beth=ℶ between=≬ bigcap=⋂ \
bigcirc=◯ bigcup=⋃ bigoplus=⊕ bigotimes=⊗ bigtriangledown=▽ bigtriangleup=△ bigvee=⋁ bigwedge=⋀ blacklozenge=⧫ \
blacksquare=▪ blacktriangle=▴ blacktriangledown=▾ blacktriangleleft=◂ blacktriangleright=▸ bowtie=⋈ boxdot=⊡ \
boxminus=⊟ boxplus=⊞ boxtimes=⊠ bullet=∙ bumpeq=≏ cancer=♋ cap=∩ capricornus=♑ cdot=· cdots=⋯ chi=χ circ=∘ circeq=≗ \
circlearrowleft=↺ circlearrowright=↻ circledS=Ⓢ circledast=⊛ circledcirc=⊚ circleddash=⊝ clockoint=⨏ clwintegral=∱ \
complement=∁ cong=≅ coprod=∐ cos=cos cosh=cosh cup=∪ curlyeqprec=⋞ curlyeqsucc=⋟ curlyvee=⋎ curlywedge=⋏ \
curvearrowleft=↶ curvearrowright=↷ cyra=а cyrabhch=ҽ cyrabhchdsc=ҿ cyrabhdze=ӡ cyrabhha=ҩ cyrae=ӕ cyrb=б cyrbyus=ѫ \
cyrc=ц cyrch=ч cyrchldsc=ӌ cyrchrdsc=ҷ cyrchvcrs=ҹ cyrd=д cyrdje=ђ cyrdze=ѕ cyrdzhe=џ cyre=е cyrerev=э cyrery=ы cyrf=ф \
cyrfita=ѳ cyrg=г cyrgdsc=ӷ cyrgdschcrs=ӻ cyrghcrs=ғ cyrghk=ҕ cyrgup=ґ cyrh=х cyrhdsc=ҳ cyrhhcrs=ӿ cyrhhk=ӽ cyrhrdsn=ъ \
cyri=и cyrie=є cyrii=і cyrishrt=й cyrizh=ѵ cyrje=ј cyrk=к cyrkbeak=ҡ cyrkdsc=қ cyrkhcrs=ҟ cyrkhk=ӄ cyrkvcrs=ҝ cyrl=л \
cyrldsc=ӆ cyrlje=љ cyrm=м cyrmdsc=ӎ cyrn=н cyrndsc=ң cyrng=ҥ cyrnhk=ӈ cyrnje=њ cyro=о cyrotld=ө cyrp=п cyrphk=ҧ cyrr=р \
cyrrtick=ҏ cyrs=с cyrschwa=ә cyrsdsc=ҫ cyrsemisftsn=ҍ cyrsftsn=ь cyrsh=ш cyrshch=щ cyrshha=һ cyrt=т cyrtdsc=ҭ \
cyrtetse=ҵ cyrtshe=ћ cyru=у cyrushrt=ў cyrv=в cyry=ү cyrya=я cyryat=ѣ cyryhcrs=ұ cyryi=ї cyryo=ё cyryu=ю cyrz=з \
cyrzdsc=ҙ cyrzh=ж cyrzhdsc=җ dag=† dagger=† daleth=ℸ dashv=⊣ dblarrowupdown=⇅ ddddot=⃜ dddot=⃛ ddots=⋱ delta=δ dh=ð \
diagup=╱ diamond=♢ digamma=ϝ div=÷ divideontimes=⋇ dj=đ doteq=≐ doteqdot=≑ dotplus=∔ dots=… dotsb=… dotsc=… dotsi=… \
dotsm=… dotso=… downarrow=↓ downdownarrows=⇊ downharpoonleft=⇃ downharpoonright=⇂ downslopeellipsis=⋱ eighthnote=♪ \
ell=ℓ emptyset=∅ epsilon=ϵ eqcirc=≖ eqslantgtr=⪖ eqslantless=⪕ equiv=≡ estimates=≙ eta=η eth=ƪ exists=∃ exp=exp \
fallingdotseq=≒ flat=♭ forall=∀ forcesextra=⊨ frown=⌢ gamma=γ ge=≥ gemini=♊ geq=≥ geqq=≧ geqslant=⩾ gg=≫ gimel=ℷ \
gnapprox=⪊ gneq=⪈ gneqq=≩ gnsim=⋧ greaterequivlnt=≳ gtrapprox=⪆ gtrdot=⋗ gtreqless=⋛ gtreqqless=⪌ gtrless=≷ gtrsim=≳ \
guillemotleft=« guillemotright=» guilsinglleft=‹ guilsinglright=› hbar=ħ hermitconjmatrix=⊹ homothetic=∻ \
hookleftarrow=↩ hookrightarrow=↪ hslash=ℏ i=ı id=𝕀 iddots=⋰ iiint=∭ iint=∬ ij=ĳ image=⊷ in=∈ inf=inf infty=∞ int=∫ \
intercal=⊺ iota=ι j=ȷ jupiter=♃ kappa=κ l=ł lVert=‖ lambda=λ langle=⟨ lazysinv=∾ lbrace={ lceil=⌈ ldots=… le=≤ \
leftarrow=← leftarrowtail=↢ leftharpoondown=↽ leftharpoonup=↼ leftleftarrows=⇇ leftrightarrow=↔ leftrightarrows=⇆ \
leftrightharpoons=⇋ leftrightsquigarrow=↭ leftthreetimes=⋋ leo=♌ leq=≤ leqq=≦ leqslant=⩽ lessapprox=⪅ lessdot=⋖ \
lesseqgtr=⋚ lesseqqgtr=⪋ lessequivlnt=≲ lessgtr=≶ lesssim=≲ lfloor=⌊ libra=♎ lim=lim ll=≪ llcorner=⌞ lmoustache=⎰ \
ln=ln lnapprox=⪉ lneq=⪇ lneqq=≨ lnot=¬ lnsim=⋦ log=log longleftarrow=⟵ longleftrightarrow=⟷ longmapsto=⟼ \
longrightarrow=⟶ looparrowleft=↫ looparrowright=↬ lozenge=◊ lrcorner=⌟ ltimes=⋉ lvert=| male=♂ mapsto=↦ max=max \
measuredangle=∡ mercury=☿ mho=℧ mid=| min=min mp=∓ mu=μ multimap=⊸ nLeftarrow=⇍ nLeftrightarrow=⇎ nRightarrow=⇏ \
nVDash=⊯ nVdash=⊮ nabla=∇ natural=♮ nearrow=↗ neptune=♆ neq=≠ nexists=∄ ng=ŋ ngeq=≱ ngtr=≯ ni=∋ nleftarrow=↚ \
nleftrightarrow=↮ nleq=≰ nless=≮ nmid=∤ nolinebreak=\u{2060} notgreaterless=≹ notin=∉ notlessgreater=≸ nparallel=∦ nprec=⊀ \
nrightarrow=↛ nsubseteq=⊈ nsucc=⊁ nsupseteq=⊉ ntriangleleft=⋪ ntrianglelefteq=⋬ ntriangleright=⋫ ntrianglerighteq=⋭ \
nu=ν nvDash=⊭ nvdash=⊬ nwarrow=↖ o=ø odot=⊙ oe=œ oint=∮ omega=ω omicron=ο ominus=⊖ openbracketleft=〚 \
openbracketright=〛 oplus=⊕ original=⊶ oslash=⊘ otimes=⊗ parallel=∥ partial=∂ perp=⊥ perspcorrespond=⩞ phi=ϕ pi=π \
pisces=♓ pitchfork=⋔ pluto=♇ pm=± prec=≺ precapprox=⪷ preccurlyeq=≼ precedesnotsimilar=⋨ preceq=≼ precnapprox=⪹ \
precneqq=⪵ precsim=≾ prime=' prod=∏ propto=∝ psi=ψ quarternote=♩ quotedblbase=„ quotesinglbase=‚ rVert=‖ rangle=⟩ \
rbrace=} rceil=⌉ recorder=⌕ rfloor=⌋ rho=ρ rightangle=∟ rightanglearc=⊾ rightarrow=→ rightarrowtail=↣ \
rightharpoondown=⇁ rightharpoonup=⇀ rightleftarrows=⇄ rightleftharpoons=⇌ rightmoon=☾ rightrightarrows=⇉ \
rightsquigarrow=⇝ rightthreetimes=⋌ risingdotseq=≓ rmoustache=⎱ rtimes=⋊ rvert=| sagittarius=♐ saturn=♄ scorpio=♏ \
searrow=↘ setminus=∖ sharp=♯ sigma=σ sim=∼ simeq=≃ sin=sin sinh=sinh smallsetminus=∖ smile=⌣ sphericalangle=∢ sqcap=⊓ \
sqcup=⊔ sqrint=⨖ sqsubset=⊏ sqsubseteq=⊑ sqsupset=⊐ sqsupseteq=⊒ square=□ ss=ß star=⋆ starequal=≛ subset=⊂ subseteq=⊆ \
subseteqq=⫅ subsetneq=⊊ subsetneqq=⫋ succ=≻ succapprox=⪸ succcurlyeq=≽ succeq=≽ succnapprox=⪺ succneqq=⪶ succnsim=⋩ \
succsim=≿ sum=∑ sup=sup supset=⊃ supseteq=⊇ supseteqq=⫆ supsetneq=⊋ supsetneqq=⫌ surd=√ surfintegral=∯ swarrow=↙ \
tan=tan tanh=tanh tau=τ taurus=♉ textTheta=ϴ textacutedbl=˝ textasciiacute=´ textasciibreve=˘ textasciicaron=ˇ \
textasciicircum=ˆ textasciidieresis=¨ textasciigrave=` textasciimacron=¯ textasciitilde=~ textasteriskcentered=⁎ \
textbaht=฿ textbigcircle=◯ textblank=␢ textbrokenbar=¦ textbullet=• textcelsius=℃ textcent=¢ textcircledP=℗ \
textcolonmonetary=₡ textcompwordmark=\u{200c} textcopyright=© textcurrency=¤ textdagger=† textdaggerdbl=‡ textdegree=° \
textdiscount=⁒ textdiv=÷ textdollar=$ textdong=₫ textdoublepipe=ǂ textdownarrow=↓ textellipsis=… textemdash=— \
textendash=– textestimated=℮ texteuro=€ textexclamdown=¡ textflorin=ƒ textfractionsolidus=⁄ textglotstop=ʔ texthvlig=ƕ \
textinterrobang=‽ textlangle=〈 textleftarrow=← textlira=₤ textlnot=¬ textmho=℧ textmp=∓ textmu=µ textmusicalnote=♪ \
textnaira=₦ textnrleg=ƞ textnumero=№ textohm=Ω textonehalf=½ textonequarter=¼ textonesuperior=¹ textopenbullet=◦ \
textordfeminine=ª textordmasculine=º textparagraph=¶ textperiodcentered=˙ textpertenthousand=‱ textperthousand=‰ \
textpeso=₱ textphi=ɸ textpm=± textquestiondown=¿ textquotedblleft=“ textquotedblright=” textquoteleft=‘ \
textquoteright=’ textquotesingle=' textrangle=〉 textrecipe=℞ textreferencemark=※ textregistered=® textrightarrow=→ \
textschwa=ə textsection=§ textservicemark=℠ textsterling=£ texttheta=θ textthreequarters=¾ textthreesuperior=³ \
texttildelow=˜ texttimes=× texttrademark=™ textturnk=ʞ texttwosuperior=² textuparrow=↑ textvartheta=ϑ \
textvisiblespace=␣ textwon=₩ textyen=¥ th=þ therefore=∴ theta=θ tildetrpl=≋ times=× to=→ top=⊤ triangledown=▿ \
triangleleft=◃ trianglelefteq=⊴ triangleq=≜ triangleright=▹ trianglerighteq=⊵ truestate=⊧ twoheadleftarrow=↞ \
twoheadrightarrow=↠ udots=⋰ ulcorner=⌜ uparrow=↑ updownarrow=↕ upharpoonleft=↿ upharpoonright=↾ uplus=⊎ upsilon=υ \
upslopeellipsis=⋰ upuparrows=⇈ uranus=♅ urcorner=⌝ varepsilon=ε varkappa=ϰ varnothing=∅ varperspcorrespond=⌆ varphi=φ \
varpi=ϖ varrho=ϱ varsigma=ς vartheta=ϑ vartriangle=▵ vartriangleleft=⊲ vartriangleright=⊳ vdash=⊢ vdots=⋮ vee=∨ \
veebar=⊻ venus=♀ vert=| verymuchgreater=⋙ verymuchless=⋘ virgo=♍ volintegral=∰ wedge=∧ wp=℘ wr=≀ xi=ξ zeta=ζ \
";

static TABLE: LazyLock<BTreeMap<&str, &str>> =
    LazyLock::new(|| SYMBOLS.split(' ').filter_map(|row| row.split_once('=')).collect());

/// The plain text of a command without arguments; nothing for one that is not known.
pub(super) fn plain(name: &str) -> &'static str {
    TABLE.get(name).copied().unwrap_or_default()
}
